package simmarket

import (
	"archive/zip"
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"quantbot/internal/candle"
)

func exchange(t *testing.T, first int64, count int, o Options) *Server {
	t.Helper()
	token := candle.Token{Chain: candle.BinanceSpot, Address: "BTCUSDT"}
	candles := make([]candle.Candle, count)
	for i := range candles {
		candles[i] = candle.Candle{OpenTime: first + int64(i)*60, Open: 1, High: 2, Low: 0.5, Close: 1.5, Volume: 8, VolumeUSD: 10}
	}
	o.Market = Recording{{Address: token.Address, Interval: candle.Interval1m}: candles}.Market()
	if o.Now == nil {
		o.Now = time.Now
	}
	return NewServer(o)
}

func get(s *Server, target string) *httptest.ResponseRecorder {
	recorder := httptest.NewRecorder()
	s.ServeHTTP(recorder, httptest.NewRequest(http.MethodGet, target, nil))
	return recorder
}

// The cases of recorded requests: both ends included, an unaligned start rounded up, the oldest ones of too many.
func TestKlinesAreAnsweredLikeTheService(t *testing.T) {
	t.Parallel()
	s := exchange(t, 60_000, 3_000, Options{})
	for name, test := range map[string]struct {
		query       string
		status      int
		first, last int64 // in milliseconds
		count       int
	}{
		"one":                  {"symbol=BTCUSDT&interval=1m&startTime=120000000&endTime=120000000", 200, 120_000_000, 120_000_000, 1},
		"unaligned":            {"symbol=BTCUSDT&interval=1m&startTime=120000001&endTime=120120500", 200, 120_060_000, 120_120_000, 2},
		"the default limit":    {"symbol=BTCUSDT&interval=1m&startTime=0&endTime=999999999999", 200, 60_000_000, 89_940_000, 500},
		"the most":             {"symbol=BTCUSDT&interval=1m&startTime=0&endTime=999999999999&limit=5000", 200, 60_000_000, 119_940_000, 1_000},
		"nothing there":        {"symbol=BTCUSDT&interval=1h&startTime=0&endTime=999999999999", 200, 0, 0, 0},
		"no symbol":            {"interval=1m&startTime=0&endTime=1", 400, 0, 0, -1121},
		"symbol in small caps": {"symbol=btcusdt&interval=1m&startTime=0&endTime=1", 400, 0, 0, -1121},
		"interval 15s":         {"symbol=BTCUSDT&interval=15s&startTime=0&endTime=1", 400, 0, 0, -1120},
		"no time":              {"symbol=BTCUSDT&interval=1m&startTime=soon&endTime=1", 400, 0, 0, -1100},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			answer := get(s, "/api/v3/klines?"+test.query)
			require.Equal(t, test.status, answer.Code)
			if test.status != http.StatusOK {
				var failure struct{ Code int }
				require.NoError(t, json.Unmarshal(answer.Body.Bytes(), &failure))
				require.Equal(t, test.count, failure.Code)
				return
			}
			var rows [][]any
			require.NoError(t, json.Unmarshal(answer.Body.Bytes(), &rows))
			require.Equal(t, test.count, len(rows))
			if test.count > 0 {
				require.EqualValues(t, test.first, rows[0][0])
				require.EqualValues(t, test.last, rows[test.count-1][0])
				require.Equal(t, []any{"1", "2", "0.5", "1.5", "8", float64(test.first + 59_999), "10", 1.0, "4", "5", "0"}, rows[0][1:])
			}
		})
	}
}

func TestExchangeWordsItsRefusals(t *testing.T) {
	t.Parallel()
	const question = "/api/v3/klines?symbol=BTCUSDT&interval=1m&startTime=60000000&endTime=60000000"
	s := exchange(t, 60_000, 1, Options{Faults: []Fault{{Kind: "418", Times: 1, RetryAfter: 7_200}}})
	banned := get(s, question)
	require.Equal(t, http.StatusTeapot, banned.Code)
	require.Equal(t, "7200", banned.Header().Get("Retry-After"))
	require.Contains(t, banned.Body.String(), `"code":-1003`)
	require.Equal(t, "{}", get(s, "/api/v3/ping").Body.String())
	require.Equal(t, http.StatusOK, get(s, question).Code)
	stats := s.Stats()
	require.EqualValues(t, 2, stats.ByToken["BTCUSDT"])
	require.EqualValues(t, 1, stats.Served["BTCUSDT"])
}

func TestDumps(t *testing.T) {
	t.Parallel()
	const newYear = 1_735_689_600 // 2025-01-01, when microseconds began
	s := exchange(t, newYear-120, 4, Options{Now: func() time.Time { return time.Unix(newYear+86_400, 0) }})
	for path, want := range map[string]string{
		"daily/klines/BTCUSDT/1m/BTCUSDT-1m-2024-12-31": "1735689480000,1,2,0.5,1.5,8,1735689539999,10,1,4,5,0\n1735689540000,1,2,0.5,1.5,8,1735689599999,10,1,4,5,0\n",
		"daily/klines/BTCUSDT/1m/BTCUSDT-1m-2025-01-01": "1735689600000000,1,2,0.5,1.5,8,1735689659999999,10,1,4,5,0\n1735689660000000,1,2,0.5,1.5,8,1735689719999999,10,1,4,5,0\n",
		"monthly/klines/BTCUSDT/1m/BTCUSDT-1m-2024-12":  "1735689480000,1,2,0.5,1.5,8,1735689539999,10,1,4,5,0\n1735689540000,1,2,0.5,1.5,8,1735689599999,10,1,4,5,0\n",
		"monthly/klines/BTCUSDT/1m/BTCUSDT-1m-2025-01":  "", // not over
		"daily/klines/BTCUSDT/1m/BTCUSDT-1m-2024-12-30": "", // nothing traded
		"daily/klines/BTCUSDT/1m/ETHUSDT-1m-2024-12-31": "",
		"daily/klines/BTCUSDT/1m/BTCUSDT-1m-2024-12":    "",
		"monthly/klines/BTCUSDT/15s/BTCUSDT-15s-2024-1": "",
	} {
		t.Run(path, func(t *testing.T) {
			t.Parallel()
			zipped, checksum := get(s, "/data/spot/"+path+".zip"), get(s, "/data/spot/"+path+".zip.CHECKSUM")
			if want == "" {
				require.Equal(t, http.StatusNotFound, zipped.Code)
				require.Equal(t, http.StatusNotFound, checksum.Code)
				return
			}
			name := path[strings.LastIndexByte(path, '/')+1:]
			require.Equal(t, fmt.Sprintf("%x  %s.zip\n", sha256.Sum256(zipped.Body.Bytes()), name), checksum.Body.String())
			archive, err := zip.NewReader(bytes.NewReader(zipped.Body.Bytes()), int64(zipped.Body.Len()))
			require.NoError(t, err)
			file, err := archive.Open(name + ".csv")
			require.NoError(t, err)
			rows, err := io.ReadAll(file)
			require.NoError(t, err)
			require.Equal(t, want, string(rows))
		})
	}
}
