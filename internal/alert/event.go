package alert

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
)

// Kind is what an event is about; the words appear in messages, tables and metrics.
type Kind string

// The kinds. An attempt that has ended is reported once, as the first of halted, failed and faulty that fits.
const (
	// KindHalted: the run stopped by itself: too many rejected candles, or too many credits.
	KindHalted Kind = "run_halted"
	// KindFailed: the run ended with failed chunks.
	KindFailed Kind = "run_failed"
	// KindFaulty: the run did not fail, but its candles are doubtful.
	KindFaulty Kind = "run_faulty"
	// KindStuck: the run is running and nothing has ended for a while.
	KindStuck Kind = "run_stuck"
	// KindQuota: the quota of an account is used up.
	KindQuota Kind = "quota_exhausted"
	// KindSeveral: several events of one minute go in one delivery.
	KindSeveral Kind = "several"
	// KindTest: somebody asked for a test.
	KindTest Kind = "test"
)

// EndKinds are the kinds of the end of an attempt.
func EndKinds() []Kind { return []Kind{KindHalted, KindFailed, KindFaulty} }

// Kinds are all that workers report.
func Kinds() []Kind { return append(EndKinds(), KindStuck, KindQuota) }

// Event is something to report. Its JSON is what receivers get; fields are only ever added.
type Event struct {
	// ID is the same however often and by whomever the event is delivered.
	ID   uuid.UUID `json:"event_id"`
	Kind Kind      `json:"kind"`
	// Text is for people: what happened, and the command to look at or to do. It is plain text.
	Text string `json:"text"`
	// At is when it happened.
	At time.Time `json:"at"`
	// Run is set when the event is about a run, and Source about a source.
	Run    *RunFacts `json:"run,omitempty"`
	Source string    `json:"source,omitempty"`
	// Events are those that go together in one delivery, each under the id that it has however it is delivered.
	Events []Event `json:"events,omitempty"`
}

// RunFacts are the numbers of a run at the moment of the event.
type RunFacts struct {
	ID           uuid.UUID `json:"run_id"`
	Attempt      int       `json:"attempt"`
	Status       string    `json:"status"`
	StartedBy    string    `json:"started_by"`
	Planned      int64     `json:"planned_chunks"`
	Failed       int64     `json:"failed_chunks"`
	Cancelled    int64     `json:"cancelled_chunks"`
	Fetched      int64     `json:"candles_fetched"`
	Inserted     int64     `json:"candles_inserted"`
	Rejected     int64     `json:"candles_rejected"`
	Deduplicated int64     `json:"candles_deduplicated"`
	Shadowed     *int64    `json:"candles_shadowed"` // nil = not recorded, as with Skipped
	Skipped      *int64    `json:"candles_skipped"`
	Error        string    `json:"error,omitempty"`
}

// End is how an attempt ended.
type End struct {
	Run    RunFacts
	Source string
	At     time.Time
}

// StalledRun is a run that is running and silent.
type StalledRun struct {
	Run    RunFacts
	Source string
	// Since is the last activity, and Silence how long ago that was.
	Since   time.Time
	Silence time.Duration
	// Left is how many chunks have no outcome.
	Left int64
}

// Parking is an account whose quota is used up.
type Parking struct {
	Source string
	// Account distinguishes the accounts of a source; it does not reveal the key.
	Account string
	Until   time.Time
	// Whole says that the source has no account that can be asked.
	Whole bool
}

// namespace makes our ids differ from those that others compute from the same words.
var namespace = uuid.NewSHA1(uuid.NameSpaceURL, []byte("quantbot/alert"))

func eventID(kind Kind, parts ...string) uuid.UUID {
	var name []byte
	for _, part := range append([]string{string(kind)}, parts...) {
		name = binary.AppendUvarint(name, uint64(len(part)))
		name = append(name, part...)
	}
	return uuid.NewSHA1(namespace, name)
}

// haltedPrefix begins the error of a run that stopped by itself.
const haltedPrefix = "halted: "

// Ended is the event of an attempt that ended badly.
func Ended(end End) Event {
	r := end.Run
	e := Event{Kind: KindFaulty, At: end.At.UTC(), Run: &end.Run, Source: end.Source}
	verb := "is faulty"
	switch {
	case r.halted():
		e.Kind, verb = KindHalted, "halted"
	case r.Status == "failed":
		e.Kind, verb = KindFailed, "failed"
	}
	e.ID = eventID(e.Kind, r.ID.String(), strconv.Itoa(r.Attempt))
	e.Text = fmt.Sprintf("quantbot: run %s %s (attempt %d, %s, started by %s): %s.%s Next: quantbot %s",
		r.ID, verb, r.Attempt, end.Source, r.StartedBy, numbers(r), reason(r), r.Next())
	return e
}

// halted reports whether the run stopped by itself.
func (r RunFacts) halted() bool {
	return r.Status == "failed" && strings.HasPrefix(r.Error, haltedPrefix)
}

// Next is the command, without the program's name, to go on with after a run that ended badly: what failed is retried, what
// halted or is faulty is looked at first.
func (r RunFacts) Next() string {
	if r.Status == "failed" && !r.halted() {
		return "ohlcv runs-retry " + r.ID.String()
	}
	return "ohlcv runs-details " + r.ID.String()
}

// numbers says what of the run went wrong, in numbers.
func numbers(r RunFacts) string {
	parts := []string{fmt.Sprintf("%d of %d chunks failed", r.Failed, r.Planned)}
	if r.Cancelled > 0 {
		parts = append(parts, fmt.Sprintf("%d cancelled", r.Cancelled))
	}
	if r.Rejected > 0 {
		parts = append(parts, fmt.Sprintf("%d of %d candles rejected", r.Rejected, r.Fetched))
	}
	if r.Fetched != r.Inserted+r.Rejected+r.Deduplicated {
		parts = append(parts, "fetched differs from inserted + rejected + deduplicated")
	}
	return strings.Join(parts, ", ")
}

// maxReason bounds the error in the text; the field has all of it.
const maxReason = 600

func reason(r RunFacts) string {
	text := r.Error
	if text == "" {
		return ""
	}
	if len(text) > maxReason {
		text = strings.ToValidUTF8(text[:maxReason], "") + "…"
	}
	return " " + text + "."
}

// Stalled is the event of a run that is silent. A run that goes on and falls silent again is another event.
func Stalled(s StalledRun) Event {
	r := s.Run
	return Event{
		ID:   eventID(KindStuck, r.ID.String(), strconv.Itoa(r.Attempt), strconv.FormatInt(s.Since.UnixMicro(), 10)),
		Kind: KindStuck, At: s.Since.UTC(), Run: &s.Run, Source: s.Source,
		Text: fmt.Sprintf("quantbot: run %s is stuck (attempt %d, %s, started by %s): no chunk has ended for %s, %d of %d are left. "+
			"Are workers running? Next: quantbot doctor, quantbot ohlcv runs-watch %s",
			r.ID, r.Attempt, s.Source, r.StartedBy, s.Silence.Round(time.Minute), s.Left, r.Planned, r.ID),
	}
}

// Exhausted is the event of an account whose quota is used up. While it stays so, each day (UTC) is an event: a service
// that is asked again now and then would else be reported every time.
func Exhausted(p Parking, now time.Time) Event {
	return Event{
		ID:   eventID(KindQuota, p.Source, p.Account, now.UTC().Format(time.DateOnly)),
		Kind: KindQuota, At: now.UTC(), Source: p.Source,
		Text: fmt.Sprintf("quantbot: the quota of %s (account %s) is used up; it is asked again at %s, and its chunks wait. "+
			"Next: buy more and run quantbot ohlcv sources-unpark %s, or runs-cancel the runs that need it",
			p.Source, p.Account, p.Until.UTC().Format(time.RFC3339), p.Source),
	}
}

// maxLine bounds the text of one of several events; its own field has all of it.
const maxLine = 300

// Together is the event that holds the others; one event is itself. The same events have the same id together.
func Together(events []Event) Event {
	if len(events) == 1 {
		return events[0]
	}
	together := Event{Kind: KindSeveral, Events: events}
	ids := make([]string, len(events))
	var text strings.Builder
	fmt.Fprintf(&text, "quantbot: %d alerts:", len(events))
	for i, e := range events {
		ids[i] = e.ID.String()
		if e.At.After(together.At) {
			together.At = e.At
		}
		line := strings.TrimPrefix(e.Text, "quantbot: ")
		if len(line) > maxLine {
			line = strings.ToValidUTF8(line[:maxLine], "") + "…"
		}
		text.WriteString("\n- " + line)
	}
	slices.Sort(ids)
	together.ID, together.Text = eventID(KindSeveral, ids...), text.String()
	return together
}

// Test is an event that says nothing but that events arrive. Each is an event of its own.
func Test(now time.Time) Event {
	return Event{
		ID: uuid.New(), Kind: KindTest, At: now.UTC(),
		Text: "quantbot: this is a test. Alerts about failed, halted, faulty and stuck runs and exhausted quotas arrive here.",
	}
}
