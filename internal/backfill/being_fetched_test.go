package backfill

import (
	"fmt"
	"slices"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"quantbot/internal/candle"
)

// minutesOf are the minutes, of the first hour, that these ranges hold.
func minutesOf(ranges []candle.Range) (minutes [60]bool) {
	for _, r := range ranges {
		for at := r.From; at < r.To; at += 60 {
			minutes[at/60] = true
		}
	}
	return minutes
}

func drawRanges(t *rapid.T, label string) (ranges []candle.Range) {
	for range rapid.IntRange(0, 4).Draw(t, label) {
		from := rapid.Int64Range(0, 58).Draw(t, "from")
		ranges = append(ranges, candle.Range{From: 60 * from, To: 60 * rapid.Int64Range(from+1, 60).Draw(t, "to")})
	}
	return ranges
}

// Each missing minute is either left to one run that fetches it, or in the rest; minute by minute, for any runs and tokens.
func TestWhatIsBeingFetchedIsLeftOutOnce(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		runs := []uuid.UUID{{1}, {2}, {3}}
		var missing []candle.TokenRanges
		for i := range 3 {
			if ranges := candle.Merge(drawRanges(t, "missing")); len(ranges) > 0 {
				missing = append(missing, candle.TokenRanges{Token: candle.Token{Address: fmt.Sprint(i)}, Ranges: ranges})
			}
		}
		being := NewBeingFetched(missing, candle.Interval1m)
		fetching := map[uuid.UUID]map[candle.Token][60]bool{}
		for _, run := range runs {
			fetching[run] = map[candle.Token][60]bool{}
			for i := range 4 { // one of them nobody wants
				token, ranges := candle.Token{Address: fmt.Sprint(i)}, drawRanges(t, "fetched")
				slices.SortFunc(ranges, func(a, b candle.Range) int { return int(a.From - b.From) })
				for _, r := range ranges {
					being.Add(run, token, r)
				}
				fetching[run][token] = minutesOf(ranges)
			}
		}
		was := map[candle.Token][60]bool{}
		for _, w := range missing {
			was[w.Token] = minutesOf(w.Ranges)
		}

		rest, left := being.LeaveOut(missing)
		now := map[candle.Token][60]int{}
		count := func(token candle.Token, minutes [60]bool) (n int64) {
			counts := now[token]
			for m, in := range minutes {
				if in {
					counts[m]++
					n++
				}
			}
			now[token] = counts
			return n
		}
		for _, w := range rest {
			minutes := minutesOf(w.Ranges)
			count(w.Token, minutes)
			for _, run := range runs {
				for m, in := range fetching[run][w.Token] {
					require.False(t, in && minutes[m], "fetched twice")
				}
			}
		}
		for _, l := range left {
			candles := int64(0)
			for _, w := range l.Wanted {
				minutes := minutesOf(w.Ranges)
				candles += count(w.Token, minutes)
				for m, in := range minutes {
					require.False(t, in && !fetching[l.RunID][w.Token][m], "left to a run that does not fetch it")
				}
			}
			require.Equal(t, candles, l.Candles)
			require.Positive(t, candles)
		}
		for token, minutes := range was {
			for m, in := range minutes {
				require.Equal(t, in, now[token][m] == 1, "%s, minute %d", token, m)
				require.LessOrEqual(t, now[token][m], 1)
			}
		}
	})
}
