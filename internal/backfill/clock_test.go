package backfill

import (
	"context"
	"errors"
	"iter"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"quantbot/internal/candle"
	"quantbot/internal/coverage"
	"quantbot/internal/manifest"
)

// hand is a clock that a test sets.
type hand struct {
	at    time.Time
	asked int
	err   error
}

func (h *hand) ask(context.Context) (time.Time, error) {
	h.asked++
	return h.at, h.err
}

func TestTheStoreThatIsBehindDecides(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_000_000, 0)
	redis, clickhouse, host := &hand{at: now.Add(time.Hour)}, &hand{at: now}, now.Add(-time.Hour)
	clock := &Clock{Stores: []TimeFunc{redis.ask, clickhouse.ask}, Host: func() time.Time { return host }}
	require.Equal(t, host, clock.Now(), "nothing else is known yet")
	reading, err := clock.Reached(t.Context(), now.Add(-24*time.Hour))
	require.NoError(t, err)
	require.Equal(t, now, reading)

	host = host.Add(10 * time.Second)
	require.Equal(t, now.Add(10*time.Second), clock.Now(), "the host counts on")
	redis.at, clickhouse.at = redis.at.Add(10*time.Second), clickhouse.at.Add(10*time.Second)
	reading, err = clock.Reached(t.Context(), now)
	require.NoError(t, err)
	require.Equal(t, now, reading, "what is past needs no new reading")
	require.Equal(t, 1, clickhouse.asked)
	reading, err = clock.Reached(t.Context(), now.Add(time.Second))
	require.NoError(t, err)
	require.Equal(t, now.Add(10*time.Second), reading)

	host = host.Add(2 * readingAge)
	clickhouse.at = now.Add(-time.Minute)
	reading, err = clock.Reached(t.Context(), now.Add(-24*time.Hour))
	require.NoError(t, err)
	require.Equal(t, now.Add(-time.Minute), reading, "a clock that was set back is heard of within a minute")
	redis.err = errors.New("connection refused")
	_, err = clock.Ask(t.Context())
	require.ErrorIs(t, err, redis.err)
	require.Equal(t, ClassStore, ClassOf(err), "the chunk waits for the store, nothing is bought meanwhile")
}

// venue is a service with a candle in some minutes. While a candle has not settled it gives what there is: a candle that is
// not final, or none.
type venue struct {
	Source // has no other methods
	name   string
	settle time.Duration
	has    map[int64]bool
	now    func() time.Time
	// behind is by how much the service's own clock is late, where its responses carry a time.
	behind *time.Duration
}

func (v *venue) Name() string                                 { return v.name }
func (v *venue) SettleDelay() time.Duration                   { return v.settle }
func (v *venue) Supports(candle.Chain, candle.Interval) error { return nil }

// settled reports whether the candle is final.
func (v *venue) settled(open int64) bool {
	return !v.now().Before(time.Unix(open+60, 0).Add(v.settle))
}

func (v *venue) Candles(_ context.Context, _ candle.Token, _ candle.Interval, r candle.Range) iter.Seq2[Page, error] {
	return func(yield func(Page, error) bool) {
		page := Page{APICalls: 1}
		if v.behind != nil {
			page.At = v.now().Add(-*v.behind)
		}
		for open := candle.Interval1m.Ceil(r.From); open < r.To && open <= v.now().Unix(); open += 60 {
			if final := v.settled(open); v.has[open] && (final || open%120 == 0) {
				volume := 1.0
				if final {
					volume = 7
				}
				page.Candles = append(page.Candles, at(open, volume))
			}
		}
		yield(page, nil)
	}
}

// skewed is a deployment whose hosts have clocks of their own.
type skewed struct {
	t        *rapid.T
	now      time.Time // the truth, and what services go by
	skew     map[string]time.Duration
	venues   map[string]*venue
	run      Run
	wanted   candle.Range
	outcomes []Outcome
	stored   map[int64]candle.Candle
}

func (s *skewed) clock(of string) func() time.Time {
	return func() time.Time { return s.now.Add(s.skew[of]) }
}

func (s *skewed) stores(host string) *Clock {
	store := func(name string) TimeFunc {
		return func(context.Context) (time.Time, error) { return s.clock(name)(), nil }
	}
	return &Clock{Stores: []TimeFunc{store("redis"), store("clickhouse")}, Host: s.clock(host)}
}

// plan is the enqueuer's; one of an older version goes by the clock of its host, and by the source's own delay.
func (s *skewed) plan(old bool) []Chunk {
	settle := max(s.venues["a"].settle, s.venues["b"].settle)
	now, err := s.stores("enqueuer").Ask(s.t.Context())
	require.NoError(s.t, err)
	if old {
		settle, now = s.venues["a"].settle, s.clock("enqueuer")()
	}
	wanted := []candle.TokenRanges{{Token: testToken, Ranges: []candle.Range{s.wanted}}}
	covered := coverage.NewFilter(wanted, candle.Interval1m, now)
	for _, o := range s.outcomes {
		covered.Add(coverage.FetchRecord{
			Token: testToken, Range: candle.Range{From: o.Range.From, To: o.AnsweredTo}, RunID: s.run.ID(), Answered: true, Confirmed: true, At: o.EndedAt,
		})
	}
	plan, err := NewPlan(s.t.Context(), Request{Interval: candle.Interval1m, Wanted: covered.Missing()}, PlanOptions{Now: now, SettleDelay: settle, Cut: Cut{Candles: 7}})
	require.NoError(s.t, err)
	return plan.Chunks
}

// fill has each chunk filled by a worker, and holds what it says against the truth of the moment.
func (s *skewed) fill(chunks []Chunk, worker *Filler) {
	for _, chunk := range chunks {
		store := &memoryStore{recorded: true}
		worker.Store = store
		outcome, err := worker.Fill(s.t.Context(), Admission{Run: s.run, Executions: 1}, chunk, yes)
		if err != nil {
			require.Equal(s.t, ClassUnavailable, ClassOf(err), "a service whose clock is behind does not answer for it")
			continue
		}
		answered := candle.Range{From: chunk.Range.From, To: outcome.AnsweredTo}
		for _, c := range store.write.Candles {
			require.EqualValues(s.t, 7, c.Volume, "a candle that was not final is stored")
			s.stored[c.OpenTime] = c
		}
		for open := answered.From; open < answered.To; open += 60 {
			source := s.venues[outcome.Source]
			require.True(s.t, source.settled(open), "covered before it was closed: %s at %s", time.Unix(open, 0), s.now)
			if source.has[open] {
				require.Contains(s.t, s.stored, open, "covered, and not there")
			}
		}
		s.outcomes = append(s.outcomes, outcome)
		s.now = s.now.Add(time.Duration(rapid.IntRange(0, 70).Draw(s.t, "fetching")) * time.Second)
	}
}

// Whatever the clocks of the hosts say, and whichever of two stores is behind: nothing is covered that was not closed and
// answered, nothing is stored that was not final, and in the end everything that the source has is there.
func TestNothingIsCoveredThatWasNotClosedAndAnswered(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		hour := func(name string) time.Duration {
			return time.Duration(rapid.IntRange(-3_600, 3_600).Draw(t, name)) * time.Second
		}
		s := &skewed{
			t: t, now: time.Unix(6_000+int64(rapid.IntRange(0, 3_600).Draw(t, "begin")), 0), wanted: candle.Range{From: 6_000, To: 6_000 + 3_600},
			skew: map[string]time.Duration{"enqueuer": hour("enqueuer"), "redis": hour("redis"), "clickhouse": 0}, stored: map[int64]candle.Candle{},
		}
		s.run = Run{Attempt: 1, Manifest: manifest.Manifest{RunID: uuid.New(), Validation: candle.Lenient, Source: "a", Fallbacks: []string{"b"}}}
		s.venues = map[string]*venue{}
		for _, name := range []string{"a", "b"} {
			v := &venue{name: name, settle: time.Duration(rapid.SampledFrom([]int{0, 5, 60, 120}).Draw(t, "settle")) * time.Second, has: map[int64]bool{}, now: s.clock("service")}
			if rapid.Bool().Draw(t, "sends its time") {
				behind := time.Duration(rapid.SampledFrom([]int{0, 1, 90}).Draw(t, "behind")) * time.Second
				v.behind = &behind
			}
			percent := rapid.SampledFrom([]int{0, 50, 100}).Draw(t, "percent")
			for open := s.wanted.From; open < s.wanted.To; open += 60 {
				v.has[open] = rapid.IntRange(1, 100).Draw(t, "has") <= percent
			}
			s.venues[name] = v
		}
		worker := func(name string) *Filler {
			s.skew[name] = hour(name)
			return &Filler{Source: func(name string, _ *manifest.Manifest) (Source, error) { return s.venues[name], nil }, Clock: s.stores(name)}
		}
		workers := []*Filler{worker("w1"), worker("w2")}
		for range rapid.IntRange(1, 4).Draw(t, "runs") {
			s.fill(s.plan(rapid.Bool().Draw(t, "old")), rapid.SampledFrom(workers).Draw(t, "worker"))
			s.now = s.now.Add(time.Duration(rapid.IntRange(0, 1_200).Draw(t, "pause")) * time.Second)
		}
		s.now = s.now.Add(3 * time.Hour)
		s.fill(s.plan(false), workers[0])
		require.Empty(t, s.plan(false), "one more run covers the rest")
		for open := s.wanted.From; open < s.wanted.To; open += 60 {
			if s.venues["a"].has[open] {
				require.Contains(t, s.stored, open)
			}
		}
	})
}

// A fallback that takes less time to settle does not answer for what the run's own source was not asked for.
func TestAFallbackAnswersNoFurtherThanTheSource(t *testing.T) {
	t.Parallel()
	now := func() time.Time { return time.Unix(3_700, 0) }
	slow := &venue{name: "a", settle: 10 * time.Minute, now: now}
	fast := &venue{name: "b", now: now, has: map[int64]bool{0: true, 3_540: true}}
	store := &memoryStore{recorded: true}
	f := filler(nil, store, 3_700)
	f.Source = func(name string, _ *manifest.Manifest) (Source, error) {
		return map[string]Source{"a": slow, "b": fast}[name], nil
	}
	run := lenient
	run.Manifest.Source, run.Manifest.Fallbacks = "a", []string{"b"}
	outcome, err := f.Fill(t.Context(), Admission{Run: run, Executions: 1}, hour, yes)
	require.NoError(t, err)
	require.Equal(t, "b", outcome.Source)
	require.EqualValues(t, 3_060, outcome.AnsweredTo, "ten minutes before now")
	require.Len(t, store.write.Candles, 2, "what it gave is final all the same")
}

// Nobody is asked about a time that has not come.
func TestWhatIsStillToComeIsNotAskedFor(t *testing.T) {
	t.Parallel()
	source := &venue{name: "a", now: func() time.Time { panic("asked") }}
	outcome, err := filler(source, &memoryStore{recorded: true}, -10).Fill(t.Context(), Admission{Run: lenient, Executions: 1}, chunkAt(600), yes)
	require.NoError(t, err)
	require.EqualValues(t, 600, outcome.AnsweredTo)
	require.Zero(t, outcome.Stats)
}

func chunkAt(from int64) Chunk {
	return NewChunk(testToken, candle.Interval1m, candle.Range{From: from, To: from + 600})
}
