package geckoterminal

import (
	"testing"

	"github.com/stretchr/testify/require"

	"quantbot/internal/backfill"
	"quantbot/internal/candle"
)

func opens(times ...int64) []candle.Candle {
	var candles []candle.Candle
	for _, t := range times {
		candles = append(candles, candle.Candle{OpenTime: t})
	}
	return candles
}

func TestStep(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		answer   []int64 // to a question for what is before 600
		fresh    []int64
		before   int64 // afterwards; the range begins at 300
		complete bool
	}{
		"older ones":                        {[]int64{540, 480, 420}, []int64{420, 480, 540}, 420, false},
		"one that was seen":                 {[]int64{600, 540, 480}, []int64{480, 540}, 480, false},
		"one twice":                         {[]int64{540, 540}, []int64{540, 540}, 540, false},
		"to the begin":                      {[]int64{360, 300}, []int64{300, 360}, 300, true},
		"beyond the begin":                  {[]int64{360, 240}, []int64{240, 360}, 240, true},
		"only beyond the begin":             {[]int64{60}, []int64{60}, 60, true},
		"nothing":                           {nil, nil, 300, true},
		"nothing that was not seen":         {[]int64{600, 600}, nil, 300, true},
		"a younger one among them":          {[]int64{900, 540, 480}, []int64{480, 540}, 480, false},
		"a younger one at the end":          {[]int64{540, 480, 900}, []int64{480, 540}, 480, false},
		"a stray one before the others":     {[]int64{60, 540, 480}, []int64{60, 480, 540}, 480, false},
		"a stray one in the middle of them": {[]int64{540, 60, 480}, []int64{60, 480, 540}, 480, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := walk{from: 300, before: 600}
			fresh, err := w.step(opens(test.answer...))
			require.NoError(t, err)
			require.Equal(t, opens(test.fresh...), fresh)
			require.Equal(t, test.before, w.before)
			require.Equal(t, test.complete, w.complete())
		})
	}
}

func TestAnAnswerToAnotherQuestionIsNoEndOfTheRange(t *testing.T) {
	t.Parallel()
	w := walk{from: 300, before: 600}
	fresh, err := w.step(opens(900, 840))
	require.ErrorIs(t, err, errNotOlder)
	require.Equal(t, backfill.ClassUnavailable, backfill.ClassOf(err))
	require.Empty(t, fresh)
	require.False(t, w.complete())
}

// What the service may have thrown away is not known to be empty (R8).
func TestNothingOlderProvesNothingPastRetention(t *testing.T) {
	t.Parallel()
	const kept = 1_000
	for name, test := range map[string]struct {
		from, before, listed int64
		proven               bool
	}{
		"all kept":                                  {1_000, 2_000, 0, true},
		"begins before, unknown age":                {999, 2_000, 0, false},
		"begins before, older pool":                 {900, 2_000, 899, false},
		"begins before, pool of its begin":          {900, 2_000, 900, false},
		"begins before, pool of what is kept":       {900, 2_000, 1_000, true},
		"begins before, pool of the oldest candle":  {100, 500, 500, true},
		"begins before, pool just before the found": {100, 500, 499, false},
		"all before, younger pool":                  {100, 500, 3_000, true},
		"all before, unknown age":                   {100, 500, 0, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := walk{from: test.from, before: test.before, listed: test.listed, kept: kept}
			_, err := w.step(nil)
			require.Equal(t, test.proven, w.complete())
			if test.proven {
				require.NoError(t, err)
				return
			}
			require.Equal(t, backfill.ClassPermanent, backfill.ClassOf(err))
			require.ErrorContains(t, err, "180 days")
			require.ErrorContains(t, err, "ask from "+candle.FormatTime(kept))
			require.NotErrorIs(t, err, errNotOlder)
		})
	}
}
