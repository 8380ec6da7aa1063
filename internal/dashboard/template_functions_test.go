package dashboard

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestFormats(t *testing.T) {
	t.Parallel()
	for n, shown := range map[any]string{0: "0", 999: "999", int64(1234567): "1\u202f234\u202f567", uint64(1000): "1\u202f000", -12345: "−12\u202f345"} {
		require.Equal(t, shown, formatCount(n))
	}
	for d, shown := range map[time.Duration]string{
		-time.Second: "0 ms", 850 * time.Millisecond: "850 ms", 12400 * time.Millisecond: "12.4 s", 200 * time.Second: "3 min 20 s",
		125 * time.Minute: "2 h 5 min", 76 * time.Hour: "3 d 4 h",
	} {
		require.Equal(t, shown, formatDuration(d))
	}
	for share, shown := range map[float64]string{0: "0.0 %", 0.0001: "<0.1 %", 0.333: "33.3 %", 0.9999: ">99.9 %", 1: "100.0 %"} {
		require.Equal(t, shown, formatPercent(share))
	}
	require.Equal(t, "–", formatTime(time.Time{}))
	require.Equal(t, "abcdefghij…vwxyz", clip(16, "abcdefghijklmnopqrstuvwxyz"))
	require.Equal(t, "abcd…", begin(5, "abcdefgh"))
	require.Equal(t, "abc", begin(5, "abc"))
}
