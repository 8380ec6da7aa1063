package cli

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"quantbot/internal/backfill"
)

// The line of progress heeds the width, and says ? where nothing moves.
func TestTheLineOfProgress(t *testing.T) {
	t.Parallel()
	s := backfill.LedgerState{AttemptChunks: 4000, Phase: backfill.PhaseRunning}
	s.Progress.Succeeded, s.Progress.Inserted = 1000, 1_234_567
	moving := backfill.Pace{ChunksPerSecond: 10, CandlesPerSecond: 12_345.6, Left: 301 * time.Second, Moving: true}
	require.Equal(t, "1000 of 4000 chunks, about 5 min 1 s left, 1234567 candles, 12346 candles/s, running", progressLine(s, moving, false, 0))
	require.Equal(t, "1000 of 4000 chunks, time left: ?, 1234567 candles, ? candles/s, running", progressLine(s, backfill.Pace{}, false, 0))
	require.Equal(t, "1000 of 4000 chunks, waiting, 1234567 candles, ? candles/s, running", progressLine(s, backfill.Pace{}, true, 0))
	require.Equal(t, "[##------] 1000 of 4000 chunks, about 5 min 1 s left", progressLine(s, moving, false, 52))
	s.Progress.Failed = 3
	require.Contains(t, progressLine(s, moving, false, 59), "3 failed")
	rapid.Check(t, func(t *rapid.T) {
		width := rapid.IntRange(10, 300).Draw(t, "width")
		s.Progress.Succeeded = rapid.Int64Range(0, 1<<40).Draw(t, "done")
		s.AttemptChunks = rapid.IntRange(0, 1<<40).Draw(t, "chunks")
		if line := progressLine(s, moving, false, width); len(line) > width {
			t.Fatalf("%d of %d columns: %s", len(line), width, line)
		}
	})
}

func TestSpokenDurations(t *testing.T) {
	t.Parallel()
	for seconds, want := range map[int]string{0: "0 s", 59: "59 s", 61: "1 min 1 s", 3661: "1 h 1 min", 90_000: "1 d 1 h"} {
		require.Equal(t, want, spoken(time.Duration(seconds)*time.Second))
	}
}
