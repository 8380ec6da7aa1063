package binance

import (
	"archive/zip"
	"bytes"
	"crypto/sha256"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"quantbot/internal/backfill"
	"quantbot/internal/candle"
	"quantbot/internal/manifest"
	"quantbot/internal/simmarket"
)

func unix(text string) int64 {
	t, err := time.Parse(time.DateOnly, text)
	if err != nil {
		panic(err)
	}
	return t.Unix()
}

func days(from, to string) candle.Range { return candle.Range{From: unix(from), To: unix(to)} }

// traded are the candles of a symbol that traded in every interval of the range.
func traded(interval candle.Interval, r candle.Range) []candle.Candle {
	var candles []candle.Candle
	for open := interval.Ceil(r.From); open < r.To; open = interval.Next(open) {
		price := 100 + float64(open/interval.Seconds()%1000)/8
		candles = append(candles, candle.Candle{OpenTime: open, Open: price, High: price + 2, Low: price - 2, Close: price + 1, Volume: 3, VolumeUSD: 3 * price})
	}
	return candles
}

// requireSame names the first difference instead of printing thousands of candles.
func requireSame(t *testing.T, want, got []candle.Candle) {
	t.Helper()
	require.Equal(t, len(want), len(got))
	for i := range want {
		if want[i] != got[i] { // reflection for each would take most of the test's time
			require.Equal(t, want[i], got[i], "candle %d", i)
		}
	}
}

func TestWithinTakesWhatSavesRequests(t *testing.T) {
	t.Parallel()
	now := time.Date(2025, 6, 15, 12, 0, 0, 0, time.UTC)
	var february []string
	for day := 1; day <= 28; day++ {
		february = append(february, fmt.Sprintf("2025-02-%02d", day))
	}
	for name, test := range map[string]struct {
		interval candle.Interval
		r        candle.Range
		want     []string
	}{
		"months of minutes":              {candle.Interval1m, days("2024-11-20", "2025-02-10"), []string{"2024-12", "2025-01"}},
		"a month exactly":                {candle.Interval1m, days("2025-02-01", "2025-03-01"), []string{"2025-02"}},
		"a second too late":              {candle.Interval1m, candle.Range{From: unix("2025-02-01") + 1, To: unix("2025-03-01")}, nil},
		"a second too short":             {candle.Interval1m, candle.Range{From: unix("2025-02-01"), To: unix("2025-03-01") - 1}, nil},
		"days of minutes are no cheaper": {candle.Interval1m, days("2025-02-02", "2025-02-20"), nil},
		"days of seconds":                {candle.Interval1s, candle.Range{From: unix("2025-02-01") - 10, To: unix("2025-02-03") + 10}, []string{"2025-02-01", "2025-02-02"}},
		"a month of seconds is too big":  {candle.Interval1s, days("2025-02-01", "2025-03-01"), february},
		"5m by the month":                {candle.Interval5m, days("2025-01-01", "2025-03-01"), []string{"2025-01", "2025-02"}},
		"15m is no cheaper":              {candle.Interval15m, days("2025-01-01", "2025-03-01"), nil},
		"days are not":                   {candle.Interval1d, days("2017-01-01", "2025-03-01"), nil},
		"the month is not over":          {candle.Interval1m, days("2025-05-01", "2025-07-01"), []string{"2025-05"}},
		"nothing asked":                  {candle.Interval1m, days("2025-02-01", "2025-02-01"), nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var got []string
			for _, file := range (&dumps{}).within(test.r, test.interval, now) {
				got = append(got, file.stamp)
				require.Equal(t, file.period, file.period.Intersect(test.r))
			}
			require.Equal(t, test.want, got)
			require.Nil(t, (*dumps)(nil).within(test.r, test.interval, now), "no dumps, none used")
		})
	}
}

// host serves the API and the files, and counts both. file may replace the answer for a file.
type host struct {
	market http.Handler
	file   func(w http.ResponseWriter, r *http.Request) (answered bool)

	mu    sync.Mutex
	files []string
	api   int64
}

func (h *host) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path, isFile := strings.CutPrefix(r.URL.Path, "/data/spot/")
	h.mu.Lock()
	if isFile {
		h.files = append(h.files, path)
	} else {
		h.api++
	}
	h.mu.Unlock()
	if isFile && h.file != nil && h.file(w, r) {
		return
	}
	h.market.ServeHTTP(w, r)
}

// openWithDumps opens a source of an API and files that have these candles. warnings is what it logs.
func openWithDumps(t *testing.T, interval candle.Interval, candles []candle.Candle, now func() time.Time) (s *Source, h *host, warnings *bytes.Buffer) {
	t.Helper()
	h = &host{market: simmarket.NewServer(simmarket.Options{Market: simmarket.Recording{{Address: btc.Address, Interval: interval}: candles}.Market(), Now: now})}
	cfg := testConfig(serve(t, h))
	cfg.DumpURL = cfg.BaseURL
	cfg.Now = now
	warnings = &bytes.Buffer{}
	cfg.Logger = slog.New(slog.NewTextHandler(warnings, nil))
	return open(t, cfg), h, warnings
}

func TestWholePeriodsComeFromDumps(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		interval candle.Interval
		r        candle.Range
		files    []string
		api      int64
	}{
		"minutes, in milliseconds and microseconds": {candle.Interval1m, days("2024-11-20", "2025-02-10"), []string{
			"monthly/klines/BTCUSDT/1m/BTCUSDT-1m-2024-12.zip", "monthly/klines/BTCUSDT/1m/BTCUSDT-1m-2025-01.zip"}, 16 + 13},
		"a day of seconds": {candle.Interval1s, days("2025-02-01", "2025-02-02"), []string{
			"daily/klines/BTCUSDT/1s/BTCUSDT-1s-2025-02-01.zip"}, 0},
		"a month between odd ends": {candle.Interval5m, candle.Range{From: unix("2025-02-01") - 599, To: unix("2025-03-01") + 601}, []string{
			"monthly/klines/BTCUSDT/5m/BTCUSDT-5m-2025-02.zip"}, 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			candles := traded(test.interval, candle.Range{From: test.r.From - 3_600, To: test.r.To + 3_600})
			s, h, warnings := openWithDumps(t, test.interval, candles, time.Now)
			f := fetch(t.Context(), s, btc, test.interval, test.r)
			require.NoError(t, f.err)
			requireSame(t, traded(test.interval, test.r), f.candles)
			require.LessOrEqual(t, f.longest, pageSize)
			var files []string
			for _, file := range test.files {
				files = append(files, file+".CHECKSUM", file)
			}
			require.Equal(t, files, h.files)
			require.Equal(t, test.api, h.api)
			require.Equal(t, int64(len(h.files))+h.api, f.calls)
			require.Equal(t, h.api*pageWeight, f.credits, "files cost no weight")
			require.Empty(t, warnings.String())
		})
	}
}

// archive packs a file as the exchange does.
func archive(t *testing.T, name, content string) []byte {
	t.Helper()
	var body bytes.Buffer
	file := zip.NewWriter(&body)
	entry, err := file.Create(name)
	require.NoError(t, err)
	_, err = entry.Write([]byte(content))
	require.NoError(t, err)
	require.NoError(t, file.Close())
	return body.Bytes()
}

const (
	janName = "BTCUSDT-5m-2025-01"
	janRow  = "1735689600000000,1,4,0.5,2,3,1735689899999999,6,1,1,1,0\n"
	febRow  = "1738368000000000,1,4,0.5,2,3,1738368299999999,6,1,1,1,0\n"
	header  = "open_time,open,high,low,close,volume,close_time,quote_volume,count,taker_buy_volume,taker_buy_quote_volume,ignore\n"
)

// answers serves a file and a checksum.
func answers(status int, zipped []byte, checksum string) func(http.ResponseWriter, *http.Request) bool {
	return func(w http.ResponseWriter, r *http.Request) bool {
		w.WriteHeader(status)
		if strings.HasSuffix(r.URL.Path, ".CHECKSUM") {
			_, _ = w.Write([]byte(checksum))
		} else {
			_, _ = w.Write(zipped)
		}
		return true
	}
}

func file(zipped []byte) func(http.ResponseWriter, *http.Request) bool {
	return answers(http.StatusOK, zipped, fmt.Sprintf("%x  %s.zip\n", sha256.Sum256(zipped), janName))
}

func TestWhatIsWrongWithADumpIsAskedOfTheAPI(t *testing.T) {
	t.Parallel()
	good := archive(t, janName+".csv", janRow)
	spoiled := bytes.Clone(good)
	spoiled[len(spoiled)/3] ^= 0xff
	january := days("2025-01-01", "2025-02-01")
	for name, test := range map[string]struct {
		file     func(http.ResponseWriter, *http.Request) bool
		requests int
		warning  string
	}{
		"not there":             {answers(http.StatusNotFound, nil, "<Error><Code>NoSuchKey</Code></Error>"), 1, ""},
		"another checksum":      {answers(200, good, strings.Repeat("0", 64)+"  "+janName+".zip"), 2, "the checksum differs"},
		"checksum of another":   {answers(200, good, fmt.Sprintf("%x  BTCUSDT-5m-2025-02.zip", sha256.Sum256(good))), 2, "not of this file"},
		"no checksum":           {answers(200, good, "<html>"), 2, "not of this file"},
		"no zip":                {file([]byte("<html>no</html>")), 2, "open the zip"},
		"spoiled":               {file(spoiled), 2, "err="},
		"another file in it":    {file(archive(t, "BTCUSDT-5m-2025-02.csv", janRow)), 2, "open the file in the zip"},
		"another month in it":   {file(archive(t, janName+".csv", janRow+febRow)), 2, "another time"},
		"empty":                 {file(archive(t, janName+".csv", "")), 2, "empty"},
		"nothing but a header":  {file(archive(t, janName+".csv", header)), 2, "empty"},
		"words":                 {file(archive(t, janName+".csv", strings.ReplaceAll(janRow, ",4,", ",four,"))), 2, "line 1"},
		"short rows":            {file(archive(t, janName+".csv", "1735689600000000,1,4\n")), 2, "line 1"},
		"two headers":           {file(archive(t, janName+".csv", header+header+janRow)), 2, "line 2"},
		"more than a month":     {file(archive(t, janName+".csv", strings.Repeat(janRow, 31*288+1))), 2, "longer than its period"},
		"a bomb":                {file(archive(t, janName+".csv", strings.Repeat(" ", 4<<20))), 2, "longer than its period"},
		"server error":          {answers(500, nil, "no"), 1, "HTTP 500"},
		"turned away":           {answers(403, nil, "no"), 1, "HTTP 403"},
		"an endless file":       {answers(200, make([]byte, 9<<20), fmt.Sprintf("%064d  %s.zip", 0, janName)), 2, "longer than"},
		"one candle of a month": {file(archive(t, janName+".csv", janRow)), 2, "lacks more candles than it saves requests"},
		"another interval":      {file(archive(t, janName+".csv", strings.ReplaceAll(janRow, "899999999", "659999999"))), 2, "other times"},
		"too fast, for an hour": {answers(429, nil, ""), 1, "HTTP 429"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, h, warnings := openWithDumps(t, candle.Interval5m, traded(candle.Interval5m, january), time.Now)
			h.file = test.file
			f := fetch(t.Context(), s, btc, candle.Interval5m, january)
			require.NoError(t, f.err)
			requireSame(t, traded(candle.Interval5m, january), f.candles)
			require.Len(t, h.files, test.requests)
			require.EqualValues(t, 9, h.api, "8,928 candles")
			require.Equal(t, int64(test.requests)+h.api, f.calls, "what brought nothing counts, too")
			require.Equal(t, h.api*pageWeight, f.credits)
			if test.warning == "" {
				require.Empty(t, warnings.String())
				return
			}
			require.Equal(t, 1, strings.Count(warnings.String(), "level=WARN"), warnings.String())
			require.Contains(t, warnings.String(), test.warning)
			require.Contains(t, warnings.String(), janName)
		})
	}
}

func TestADumpMayHaveAHeader(t *testing.T) {
	t.Parallel()
	january := days("2025-01-01", "2025-02-01")
	s, h, _ := openWithDumps(t, candle.Interval5m, nil, time.Now)
	h.file = file(archive(t, janName+".csv", header+csvOf(traded(candle.Interval5m, january), candle.Interval5m)))
	f := fetch(t.Context(), s, btc, candle.Interval5m, january)
	require.NoError(t, f.err)
	requireSame(t, traded(candle.Interval5m, january), f.candles)
	require.Zero(t, h.api)
}

// csvOf is what the exchange would publish.
func csvOf(candles []candle.Candle, interval candle.Interval) string {
	var rows strings.Builder
	for _, c := range candles {
		fmt.Fprintf(&rows, "%d,%v,%v,%v,%v,%v,%d,%v,1,1,1,0\n", c.OpenTime*1e6, c.Open, c.High, c.Low, c.Close, c.Volume, interval.Next(c.OpenTime)*1e6-1, c.VolumeUSD)
	}
	return rows.String()
}

// Files with a right checksum have lacked days. Whatever they lack comes from the API, and what neither has is empty.
func TestWhatADumpLacksComesFromTheAPI(t *testing.T) {
	t.Parallel()
	january := days("2025-01-01", "2025-02-01")
	maintenance := days("2025-01-05", "2025-01-06")
	market := slices.DeleteFunc(traded(candle.Interval1m, january), func(c candle.Candle) bool { return maintenance.Contains(c.OpenTime) })
	for name, lacks := range map[string]func(c candle.Candle) bool{
		"ends on the 10th":     func(c candle.Candle) bool { return c.OpenTime >= unix("2025-01-11") },
		"begins on the 20th":   func(c candle.Candle) bool { return c.OpenTime < unix("2025-01-20") },
		"every other day":      func(c candle.Candle) bool { return c.OpenTime/86_400%2 == 0 },
		"one candle":           func(c candle.Candle) bool { return c.OpenTime == unix("2025-01-17") },
		"an hour of each week": func(c candle.Candle) bool { return c.OpenTime%(7*86_400) < 3_600 },
		"every other candle":   func(c candle.Candle) bool { return c.OpenTime/60%2 == 0 },
		"nothing":              func(candle.Candle) bool { return false },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, h, _ := openWithDumps(t, candle.Interval1m, market, time.Now)
			name := "BTCUSDT-1m-2025-01"
			zipped := archive(t, name+".csv", csvOf(slices.DeleteFunc(slices.Clone(market), lacks), candle.Interval1m))
			h.file = answers(http.StatusOK, zipped, fmt.Sprintf("%x  %s.zip", sha256.Sum256(zipped), name))
			f := fetch(t.Context(), s, btc, candle.Interval1m, january)
			require.NoError(t, f.err)
			slices.SortFunc(f.candles, byOpenTime)
			requireSame(t, market, f.candles)
			if name != "every other candle" {
				require.LessOrEqual(t, f.calls, int64(47), "no more than without the file, and its two")
			}
			switch len(f.files) {
			case 0:
				require.EqualValues(t, 44, h.api, "asking for what is missing would cost more than all of it: 43,200 candles")
			case 1:
				require.LessOrEqual(t, f.calls, int64(40))
				require.Equal(t, name+".zip", f.files[0].Name)
				require.Equal(t, fmt.Sprintf("%x", sha256.Sum256(zipped)), f.files[0].SHA256)
			default:
				t.Fatal(f.files)
			}
		})
	}
}

func TestARunMayLeavePublishedFilesOut(t *testing.T) {
	t.Parallel()
	january := days("2025-01-01", "2025-02-01")
	s, h, _ := openWithDumps(t, candle.Interval5m, traded(candle.Interval5m, january), time.Now)
	without := s.For(&manifest.Manifest{NoPublishedFiles: true})
	require.Equal(t, backfill.Pages(pageSize), without.Cut(candle.Interval5m), "chunks are pages again")
	f := fetch(t.Context(), without.(*Source), btc, candle.Interval5m, january)
	require.NoError(t, f.err)
	requireSame(t, traded(candle.Interval5m, january), f.candles)
	require.Empty(t, h.files)
	require.Empty(t, f.files)
	require.Same(t, s, s.For(&manifest.Manifest{}))
}
