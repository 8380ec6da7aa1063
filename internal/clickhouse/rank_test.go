package clickhouse

import (
	"cmp"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestRankPrefersQualityThenTheNewerRun(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		quality := rapid.Uint8()
		millis := rapid.Int64Range(0, maxRankTime)
		qa, qb := quality.Draw(t, "quality a"), quality.Draw(t, "quality b")
		ta, tb := millis.Draw(t, "start a"), millis.Draw(t, "start b")
		got := cmp.Compare(Rank(qa, time.UnixMilli(ta)), Rank(qb, time.UnixMilli(tb)))
		if want := cmp.Or(cmp.Compare(qb, qa), cmp.Compare(tb, ta)); got != want {
			t.Fatalf("Rank(%d, %d) against Rank(%d, %d) = %d, want %d", qa, ta, qb, tb, got, want)
		}
	})
}

func TestRankOutsideItsTimes(t *testing.T) {
	t.Parallel()
	require.Equal(t, Rank(7, time.UnixMilli(0)), Rank(7, time.Time{}))
	require.Equal(t, Rank(7, time.UnixMilli(maxRankTime)), Rank(7, time.UnixMilli(maxRankTime+1)))
	require.Less(t, Rank(255, time.UnixMilli(maxRankTime)), Rank(254, time.UnixMilli(maxRankTime)))
}
