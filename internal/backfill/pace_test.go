package backfill_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"quantbot/internal/backfill"
)

func readingAt(seconds float64, done int64) backfill.ProgressReading {
	return backfill.ProgressReading{At: time.Unix(1_700_000_000, 0).Add(time.Duration(seconds * float64(time.Second))), Done: done, Candles: done * 1000}
}

// A watch that begins when most is done sees the pace of now, not the whole run's work in its own short time.
func TestAWatchThatBeginsLateMeasuresWhatItSeesItself(t *testing.T) {
	t.Parallel()
	var m backfill.PaceMeter
	require.Equal(t, backfill.Pace{}, m.Add(readingAt(0, 9000), 10_000), "one reading has no pace")
	p := m.Add(readingAt(10, 9020), 10_000)
	require.InDelta(t, 2, p.ChunksPerSecond, 1e-9)
	require.InDelta(t, 2000, p.CandlesPerSecond, 1e-9)
	require.True(t, p.Moving)
	require.Equal(t, 490*time.Second, p.Left)
}

// The pace is that of the last half minute: it follows a change, and what stands still has none.
func TestThePaceIsOfTheLastHalfMinute(t *testing.T) {
	t.Parallel()
	var m backfill.PaceMeter
	for second := range 101 { // fast, then slow
		m.Add(readingAt(float64(second), int64(second)*10), 5000)
	}
	var p backfill.Pace
	for second := range 31 {
		p = m.Add(readingAt(100+float64(second), 1000+int64(second)), 5000)
	}
	require.InDelta(t, 1, p.ChunksPerSecond, 1e-9)
	for second := range 31 {
		p = m.Add(readingAt(130+float64(second), 1030), 5000)
	}
	require.False(t, p.Moving)
	require.Zero(t, p.ChunksPerSecond)
	require.Zero(t, p.Left)
}

func TestAnotherAttemptBeginsThePaceAnew(t *testing.T) {
	t.Parallel()
	var m backfill.PaceMeter
	m.Add(readingAt(0, 500), 1000)
	require.Equal(t, backfill.Pace{}, m.Add(readingAt(10, 0), 20))
	require.InDelta(t, 1, m.Add(readingAt(15, 5), 20).ChunksPerSecond, 1e-9)
}

// However a steady run is looked at, and from whenever on, its pace is its own.
func TestASteadyRunHasItsPaceWhoeverLooks(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		rate := rapid.Int64Range(1, 100).Draw(t, "chunks a second")
		at := float64(rapid.IntRange(0, 100_000).Draw(t, "begin"))
		var m backfill.PaceMeter
		m.Add(readingAt(at, int64(at)*rate), 1<<40)
		for range rapid.IntRange(1, 200).Draw(t, "readings") {
			at += float64(rapid.IntRange(1, 90).Draw(t, "pause"))
			p := m.Add(readingAt(at, int64(at)*rate), 1<<40)
			if !p.Moving || p.ChunksPerSecond < float64(rate)*0.999 || p.ChunksPerSecond > float64(rate)*1.001 || p.Left <= 0 {
				t.Fatalf("pace %+v of %d chunks a second", p, rate)
			}
		}
	})
}
