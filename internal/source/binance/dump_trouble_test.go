package binance

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"quantbot/internal/backfill"
	"quantbot/internal/candle"
	"quantbot/internal/simmarket"
)

// Ranges before and behind a dump that is missing are asked for in one go.
func TestMissingDumpsDoNotCutTheQuestion(t *testing.T) {
	t.Parallel()
	listed := candle.Range{From: unix("2025-03-10"), To: unix("2025-04-01")}
	s, h, _ := openWithDumps(t, candle.Interval5m, traded(candle.Interval5m, listed), time.Now)
	f := fetch(t.Context(), s, btc, candle.Interval5m, days("2024-06-01", "2025-04-01"))
	require.NoError(t, f.err)
	requireSame(t, traded(candle.Interval5m, listed), f.candles)
	require.Len(t, h.files, 9+2, "nine months are missing")
	require.EqualValues(t, 2, h.api, "one answer says that there is nothing in all of them, and one that the first days of March are no hole of the file")
}

// A server of files that does not work must not cost every chunk a request and a line, nor be forgotten for ever.
func TestDumpsAreLeftAloneWhileTheirServerFails(t *testing.T) {
	t.Parallel()
	january := days("2025-01-01", "2025-02-01")
	for name, broken := range map[string]func(http.ResponseWriter, *http.Request) bool{
		"says so": answers(http.StatusServiceUnavailable, nil, "no"),
		"hangs up": func(http.ResponseWriter, *http.Request) bool {
			panic(http.ErrAbortHandler)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			now := time.Date(2025, 6, 1, 0, 0, 0, 0, time.UTC)
			s, h, warnings := openWithDumps(t, candle.Interval5m, traded(candle.Interval5m, january), func() time.Time { return now })
			h.file = broken
			for range 3 {
				f := fetch(t.Context(), s, btc, candle.Interval5m, january)
				require.NoError(t, f.err)
				requireSame(t, traded(candle.Interval5m, january), f.candles)
			}
			require.Len(t, h.files, 1)
			require.EqualValues(t, 3*9, h.api)
			require.Equal(t, 1, strings.Count(warnings.String(), "level=WARN"))
			h.file = nil
			now = now.Add(dumpsPause + time.Second)
			f := fetch(t.Context(), s, btc, candle.Interval5m, january)
			require.NoError(t, f.err)
			requireSame(t, traded(candle.Interval5m, january), f.candles)
			require.Len(t, h.files, 1+2)
		})
	}
}

func TestInterruptionOfADumpIsNoReasonToAskTheAPI(t *testing.T) {
	t.Parallel()
	s, h, warnings := openWithDumps(t, candle.Interval5m, nil, time.Now)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	h.file = func(_ http.ResponseWriter, r *http.Request) bool {
		cancel()
		<-r.Context().Done()
		return true
	}
	f := fetch(ctx, s, btc, candle.Interval5m, days("2025-01-01", "2025-02-01"))
	require.ErrorIs(t, f.err, context.Canceled)
	require.Equal(t, backfill.ClassInterrupted, backfill.ClassOf(f.err))
	require.EqualValues(t, 1, f.calls)
	require.Equal(t, 1, f.pages)
	require.Zero(t, h.api)
	require.Empty(t, warnings.String())
}

func TestAReaderMayStopInsideADump(t *testing.T) {
	t.Parallel()
	january := days("2025-01-01", "2025-02-01")
	s, h, _ := openWithDumps(t, candle.Interval5m, traded(candle.Interval5m, january), time.Now)
	for page, err := range s.Candles(t.Context(), btc, candle.Interval5m, candle.Range{From: january.From, To: january.To + 86_400}) {
		require.NoError(t, err)
		require.Len(t, page.Candles, pageSize)
		break
	}
	require.Len(t, h.files, 2)
	require.Zero(t, h.api)
}

func TestAFailingAPIEndsTheSequenceAlsoBesideDumps(t *testing.T) {
	t.Parallel()
	january := days("2025-01-01", "2025-02-01")
	s, h, _ := openWithDumps(t, candle.Interval5m, traded(candle.Interval5m, january), time.Now)
	h.market.(*simmarket.Server).SetFaults([]simmarket.Fault{{Kind: "500", After: 2}})
	f := fetch(t.Context(), s, btc, candle.Interval5m, candle.Range{From: january.From, To: january.To + 86_400})
	require.Equal(t, backfill.ClassUnavailable, backfill.ClassOf(f.err))
	require.EqualValues(t, 3, f.calls)
	requireSame(t, traded(candle.Interval5m, january), f.candles)
}

func FuzzUnpack(f *testing.F) {
	january := days("2025-01-01", "2025-02-01")
	f.Add([]byte(janRow))
	f.Add([]byte(header + janRow))
	f.Add([]byte("\"\n"))
	f.Fuzz(func(t *testing.T, content []byte) {
		candles, err := unpack(archive(t, "x.csv", string(content)), "x.csv", question{candle.Interval5m, january, true})
		if err != nil {
			require.Nil(t, candles)
			return
		}
		for _, c := range candles {
			require.True(t, january.Contains(c.OpenTime))
		}
	})
}
