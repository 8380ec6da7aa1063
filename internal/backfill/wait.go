package backfill

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"
)

// WaitReason says why work waits. The list is closed: the words are labels of metrics and stand in the ledger.
type WaitReason string

// The reasons. Those from WaitUnreachable to WaitOther are a store's.
const (
	WaitUnreachable WaitReason = "unreachable" // nobody listens there, or the connection was cut
	WaitNoAnswer    WaitReason = "no_answer"   // it was asked, and nothing comes back
	WaitLogin       WaitReason = "login"       // it does not know our user or password
	WaitCertificate WaitReason = "certificate" // its certificate is not trusted
	WaitRights      WaitReason = "rights"      // our user may not write
	WaitMemory      WaitReason = "memory"      // a limit of memory
	WaitDisk        WaitReason = "disk"        // no space left
	WaitParts       WaitReason = "parts"       // more parts than it merges
	WaitQuota       WaitReason = "quota"       // our user's quota is used up
	WaitOverload    WaitReason = "overload"    // it has too much to do
	WaitSchema      WaitReason = "schema"      // its tables are not ours, or not migrated
	WaitOther       WaitReason = "other"
	WaitSourceDown  WaitReason = "source_down" // the source is down for everybody
	WaitNoWorker    WaitReason = "no_worker"   // no worker is running
	WaitPaused      WaitReason = "paused"      // the source said that it was asked too fast
	WaitParked      WaitReason = "parked"      // the source's quota is used up
	WaitForeign     WaitReason = "foreign"     // workers leave the run to others
)

// StoreWaitReasons are the reasons why a store keeps work waiting.
func StoreWaitReasons() []WaitReason {
	return []WaitReason{
		WaitUnreachable, WaitNoAnswer, WaitLogin, WaitCertificate, WaitRights, WaitMemory, WaitDisk, WaitParts, WaitQuota, WaitOverload,
		WaitSchema, WaitOther,
	}
}

// SilentAfter is how long a service may take to answer before it is said that nothing comes back.
const SilentAfter = 10 * time.Second

// Wait is what work waits for, and since when.
type Wait struct {
	// On is who keeps it waiting: a store or a source, by its name.
	On     string     `json:"on"`
	Reason WaitReason `json:"reason"`
	// Detail is the last error, on one line; empty when nothing came back.
	Detail string `json:"detail,omitempty"`
	// Since is when it began. In the ledger it is by Redis' clock.
	Since time.Time `json:"since"`
	// Until is when it ends by itself, where that is known.
	Until time.Time `json:"until,omitzero"`
	// Workers is how many workers wait; 0 while it is only one process's own view.
	Workers int `json:"workers,omitempty"`
}

// String is the sentence that people read, the same in every place: what does not answer or refuses since when, and why.
func (w Wait) String() string {
	if w.Detail == "" {
		return w.Short()
	}
	return w.Short() + ": " + w.Detail
}

// Short is the beginning of the sentence, for places without room for the error.
func (w Wait) Short() string {
	since := " since " + w.Since.UTC().Truncate(time.Second).Format(time.RFC3339)
	until := w.Until.UTC().Truncate(time.Second).Format(time.RFC3339)
	switch w.Reason {
	case WaitNoAnswer:
		return "no answer from " + w.On + since
	case WaitUnreachable:
		return w.On + " cannot be reached" + since
	case WaitNoWorker:
		return "no worker is running: start one with `worker`, on any machine that reaches Redis and ClickHouse"
	case WaitForeign:
		return "left alone" + since + " by every worker that is running"
	case WaitPaused:
		return fmt.Sprintf("%[1]s said that it was asked too fast and is left alone until %[2]s (at once: sources-unpark %[1]s)", w.On, until)
	case WaitParked:
		return fmt.Sprintf("%[1]s is parked until %[2]s: its quota is used up (sources-unpark %[1]s)", w.On, until)
	case WaitSourceDown:
		return w.On + " answers nobody" + since
	}
	return fmt.Sprintf("%s takes nothing%s (%s)", w.On, since, w.Reason)
}

// Sentences are the waits in words.
func Sentences(waits []Wait) []string {
	texts := make([]string, len(waits))
	for i, w := range waits {
		texts[i] = w.String()
	}
	return texts
}

// OutageError says that a store refuses or does not answer, in the words of its wait.
type OutageError struct {
	Wait Wait
	Err  error
}

// Error is the sentence.
func (e *OutageError) Error() string { return e.Wait.String() }

// Unwrap returns what the store, or the way to it, said.
func (e *OutageError) Unwrap() error { return e.Err }

// Outage says an error of a store as a wait that began then, with what to do where the error knows. A cancelled question is none.
func Outage(on string, since time.Time, err error) error {
	if err == nil || errors.Is(err, context.Canceled) {
		return err
	}
	w := OutageWait(on, since, err)
	w.Detail = WaitDetail(err)
	return &OutageError{Wait: w, Err: err}
}

// OutageWait is the wait for a store that gave this error; that nothing came back needs no more words.
func OutageWait(on string, since time.Time, err error) Wait {
	w := Wait{On: on, Reason: ReasonOf(err), Since: since}
	if errors.Is(err, context.DeadlineExceeded) {
		w.Reason = WaitNoAnswer
	}
	if w.Reason != WaitNoAnswer {
		w.Detail = WaitDetail(err)
	}
	return w
}

// maxWaitDetail bounds what an error brings into the ledger, in bytes.
const maxWaitDetail = 400

// WaitDetail makes one short line of an error.
func WaitDetail(err error) string {
	if err == nil {
		return ""
	}
	text := strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(err.Error(), ""))
	text = strings.Join(strings.Fields(text), " ")
	if len(text) > maxWaitDetail {
		text = strings.ToValidUTF8(text[:maxWaitDetail], "") + "…"
	}
	return text
}
