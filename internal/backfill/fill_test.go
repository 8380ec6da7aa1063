package backfill

import (
	"context"
	"errors"
	"iter"
	"math"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"quantbot/internal/candle"
	"quantbot/internal/manifest"
)

// pages is a source that gives what a test wrote down.
type pages struct {
	list []Page
	err  error
}

func (p pages) Name() string                                 { return "pages" }
func (p pages) Cost(candle.Interval, candle.Range) Cost      { return Cost{} }
func (p pages) Cut(candle.Interval) Cut                      { return Pages(10) }
func (p pages) SettleDelay() time.Duration                   { return time.Minute }
func (p pages) Supports(candle.Chain, candle.Interval) error { return nil }
func (p pages) Candles(context.Context, candle.Token, candle.Interval, candle.Range) iter.Seq2[Page, error] {
	return func(yield func(Page, error) bool) {
		for _, page := range p.list {
			if !yield(page, nil) {
				return
			}
		}
		if p.err != nil {
			yield(Page{APICalls: 1}, p.err)
		}
	}
}

// memoryStore keeps the last write.
type memoryStore struct {
	write    ChunkWrite
	writes   int
	recorded bool
	err      error
}

func (s *memoryStore) WriteChunk(_ context.Context, w ChunkWrite) (bool, error) {
	s.write = w
	s.writes++
	return s.recorded, s.err
}

// Deduplicate finds nothing to leave out.
func (s *memoryStore) Deduplicate(_ context.Context, _ Run, _ Chunk, _ string, candles []candle.Candle) ([]candle.Candle, int64) {
	return candles, 0
}

func at(open int64, volume float64) candle.Candle {
	return candle.Candle{OpenTime: open, Open: 1, High: 2, Low: 1, Close: 2, Volume: volume}
}

func filler(source Source, store CandleStore, now int64) *Filler {
	given := func(string, *manifest.Manifest) (Source, error) { return source, nil }
	return &Filler{Source: given, Store: store, Worker: "w", Version: "v", Clock: hostClock(func() time.Time { return time.Unix(now, 0) })}
}

// hostClock is backfilltest's, which tests inside of this package cannot import.
func hostClock(now func() time.Time) *Clock {
	return &Clock{Stores: []TimeFunc{func(context.Context) (time.Time, error) { return now(), nil }}, Host: now}
}

func yes(context.Context) (bool, error) { return true, nil }

var (
	hour    = NewChunk(testToken, candle.Interval1m, candle.Range{From: 0, To: 3_600})
	lenient = Run{Attempt: 1, Manifest: manifest.Manifest{Validation: candle.Lenient}}
)

func TestFillCountsEachCandleOnce(t *testing.T) {
	t.Parallel()
	broken := at(300, 1)
	broken.High = 0.5
	source := pages{list: []Page{
		{Candles: []candle.Candle{at(0, 5), at(60, 0), at(60, 7), at(-60, 1), broken}, APICalls: 1, Credits: 60},
		{Candles: []candle.Candle{at(120, 1), at(3_600, 1), at(2_940, 1), at(3_000, 1)}, APICalls: 1, Credits: 60},
	}}
	store := &memoryStore{recorded: true}
	// At 3,120 the candle of 2,940 has closed over a minute ago (3,000 + 60), the one of 3,000 has not.
	outcome, err := filler(source, store, 3_119).Fill(t.Context(), Admission{Run: lenient, Executions: 1}, hour, yes)
	require.NoError(t, err)
	require.Equal(t, Stats{Fetched: 6, Inserted: 4, Rejected: 1, Deduplicated: 1, Skipped: 1, ZeroVolume: 1, Dropped: 3, APICalls: 2, Credits: 120}, outcome.Stats)
	require.True(t, outcome.Stats.Balanced())
	require.Equal(t, []candle.Candle{at(0, 5), at(60, 7), at(120, 1), at(2_940, 1)}, store.write.Candles, "the better of two answers stays")
	require.Equal(t, []Rejection{{Candle: broken, Rule: candle.RuleInvalidRange}}, store.write.Rejected)
	require.Equal(t, OutcomeSuccess, store.write.Outcome.Status)
	require.False(t, outcome.Unrecorded)
}

// One candle whose value is no number goes to quarantine, with the item and the field; the others are stored.
func TestFillNamesWhatIsOdd(t *testing.T) {
	t.Parallel()
	odd := at(60, 1)
	odd.High = math.NaN()
	store := &memoryStore{recorded: true}
	source := pages{list: []Page{{Candles: []candle.Candle{at(0, 1), odd, at(120, 1)}, Odd: []Oddity{{OpenTime: 60, Text: "item 1 of the answer: h is null"}}}}}
	outcome, err := filler(source, store, 10_000).Fill(t.Context(), Admission{Run: lenient, Executions: 1}, hour, yes)
	require.NoError(t, err)
	require.Equal(t, Stats{Fetched: 3, Inserted: 2, Rejected: 1}, outcome.Stats)
	require.Len(t, store.write.Rejected, 1)
	require.Equal(t, candle.RuleNotFinite, store.write.Rejected[0].Rule)
	require.Equal(t, "item 1 of the answer: h is null", store.write.Rejected[0].Detail)
}

// flood is a source that sends the same page for ever, and counts how often.
type flood struct {
	pages
	page  []candle.Candle
	count int
}

func (f *flood) Candles(context.Context, candle.Token, candle.Interval, candle.Range) iter.Seq2[Page, error] {
	return func(yield func(Page, error) bool) {
		for f.count = 1; yield(Page{Candles: slices.Clone(f.page), Odd: make([]Oddity, len(f.page)), APICalls: 1}, nil); f.count++ {
			if f.count == 1_000 {
				return
			}
		}
	}
}

// What a chunk keeps in memory is bounded by its range, not by what a source sends.
func TestFillStopsAFlood(t *testing.T) {
	t.Parallel()
	source := &flood{page: []candle.Candle{at(0, 1), at(0, 2), at(60, 1), at(0, 3), at(0, 4), at(0, 5), at(0, 6), at(0, 7), at(0, 8), at(0, 9)}}
	store := &memoryStore{recorded: true}
	_, err := filler(source, store, 10_000).Fill(t.Context(), Admission{Run: lenient, Executions: 1}, hour, yes)
	require.ErrorIs(t, err, errFlood)
	require.Equal(t, ClassUnavailable, ClassOf(err))
	require.Zero(t, store.writes)
	require.Equal(t, (2*60+answerCandles)/10+1, source.count, "twice what the hour has, a page more, and the one that is too much")
}

func TestFillStoresNothingOfAHalfAnswer(t *testing.T) {
	t.Parallel()
	cause := WithClass(ClassUnavailable, errors.New("HTTP 500"))
	store := &memoryStore{recorded: true}
	outcome, err := filler(pages{list: []Page{{Candles: []candle.Candle{at(0, 1)}, APICalls: 1}}, err: cause}, store, 10_000).Fill(t.Context(), Admission{Run: lenient, Executions: 1}, hour, yes)
	require.ErrorIs(t, err, cause)
	require.Equal(t, ClassUnavailable, ClassOf(err))
	require.ErrorContains(t, err, testToken.Address)
	require.Zero(t, store.writes)
	require.EqualValues(t, 2, outcome.Stats.APICalls, "calls that failed cost too")
}

func TestFillAsksOnceMoreBeforeItWrites(t *testing.T) {
	t.Parallel()
	store := &memoryStore{recorded: true}
	f := filler(pages{}, store, 10_000)
	_, err := f.Fill(t.Context(), Admission{Run: lenient, Executions: 1}, hour, func(context.Context) (bool, error) { return false, nil })
	require.ErrorIs(t, err, ErrUnwanted)
	require.Zero(t, store.writes)
}

func TestFillGoesOnWithoutTheHistory(t *testing.T) {
	t.Parallel()
	outcome, err := filler(pages{}, &memoryStore{recorded: false}, 10_000).Fill(t.Context(), Admission{Run: lenient, Executions: 1}, hour, yes)
	require.NoError(t, err)
	require.True(t, outcome.Unrecorded)
}

// flaky fails a number of times, then keeps what it is given.
type flaky struct {
	memoryStore
	fails int
	cause error
}

func (s *flaky) WriteChunk(ctx context.Context, w ChunkWrite) (bool, error) {
	if s.writes < s.fails {
		s.writes++
		return false, s.cause
	}
	return s.memoryStore.WriteChunk(ctx, w)
}

func TestFillKeepsWhatItFetchedWhileTheStoreIsAway(t *testing.T) {
	t.Parallel()
	away := WithClass(ClassStore, errors.New("connection refused"))
	for name, test := range map[string]struct {
		fails  int
		cause  error
		writes int
	}{
		"for some minutes":   {60, away, 61},
		"for very long":      {1_000, away, storeTries},
		"not by its absence": {1_000, WithClass(ClassPermanent, errors.New("bad value")), 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				store := &flaky{memoryStore: memoryStore{recorded: true}, fails: test.fails, cause: test.cause}
				_, err := filler(pages{}, store, 10_000).Fill(t.Context(), Admission{Run: lenient, Executions: 1}, hour, yes)
				require.Equal(t, test.writes, store.writes)
				if test.fails >= test.writes {
					require.ErrorIs(t, err, test.cause)
				} else {
					require.NoError(t, err)
				}
			})
		})
	}
}

func TestFillStopsWaitingForTheStoreWhenItIsUnwanted(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := &flaky{fails: 1_000, cause: WithClass(ClassStore, errors.New("connection refused"))}
		asked := 0
		_, err := filler(pages{}, store, 10_000).Fill(t.Context(), Admission{Run: lenient, Executions: 1}, hour, func(context.Context) (bool, error) {
			asked++
			return asked < 3, nil
		})
		require.ErrorIs(t, err, ErrUnwanted)
		require.Equal(t, 2, store.writes)
	})
}
