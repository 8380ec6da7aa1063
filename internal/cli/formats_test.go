package cli

import (
	"bytes"
	"compress/gzip"
	"encoding/csv"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
	"github.com/parquet-go/parquet-go"
	"github.com/stretchr/testify/require"

	"quantbot/internal/simmarket"
)

// closes reads the closing prices of an exported file, in whatever format it is.
func closes(t *testing.T, path string) (prices []float64) {
	t.Helper()
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	var plain io.Reader = bytes.NewReader(data)
	switch filepath.Ext(path) {
	case ".gz":
		plain, err = gzip.NewReader(plain)
	case ".zst":
		plain, err = zstd.NewReader(plain)
	}
	require.NoError(t, err)
	var rows []struct {
		Close float64 `json:"close" parquet:"close"`
	}
	switch name := strings.TrimSuffix(strings.TrimSuffix(path, ".gz"), ".zst"); filepath.Ext(name) {
	case ".parquet":
		rows, err = parquet.Read[struct {
			Close float64 `json:"close" parquet:"close"`
		}](bytes.NewReader(data), int64(len(data)))
		require.NoError(t, err)
	case ".json":
		require.NoError(t, json.NewDecoder(plain).Decode(&rows))
	case ".jsonl":
		for lines := json.NewDecoder(plain); lines.More(); {
			rows = append(rows, struct {
				Close float64 `json:"close" parquet:"close"`
			}{})
			require.NoError(t, lines.Decode(&rows[len(rows)-1]))
		}
	case ".csv":
		return closesOfCSV(t, plain)
	}
	for _, row := range rows {
		prices = append(prices, row.Close)
	}
	return prices
}

func closesOfCSV(t *testing.T, r io.Reader) (prices []float64) {
	t.Helper()
	records, err := csv.NewReader(r).ReadAll()
	require.NoError(t, err)
	for _, record := range records[1:] {
		for i, name := range records[0] {
			if name == "close" {
				var price float64
				require.NoError(t, json.Unmarshal([]byte(record[i]), &price))
				prices = append(prices, price)
			}
		}
	}
	return prices
}

// The same candles come back from every format and every way out.
func TestCandlesLeaveInEveryFormat(t *testing.T) {
	t.Parallel()
	h := setup(t, simmarket.Options{})
	token := simmarket.Tokens(1)[0].Address
	h.backfill(t, 1, "--token", token, "--from", "2025-03-01", "--to", "2025-03-03")
	selection := []string{"--token", token, "--from", "2025-03-01", "--to", "2025-03-03"}
	command := func(name string, more ...string) []string {
		return append(append([]string{"ohlcv", name}, selection...), more...)
	}
	dir := t.TempDir()
	var want []float64
	for _, name := range []string{"x.parquet", "x.csv", "x.csv.gz", "x.csv.zst", "x.json", "x.json.gz", "x.jsonl"} {
		for _, how := range []string{"export", "query"} {
			path := filepath.Join(dir, how+"-"+name)
			h.ok(t, command(how, "--out", path)...)
			got := closes(t, path)
			if want == nil {
				want = got
				require.Greater(t, len(want), 1_000)
			}
			require.Equal(t, want, got, path)
		}
	}
	exported := h.ok(t, command("export", "--out", "-")...)
	require.Equal(t, want, closesOfCSV(t, strings.NewReader(exported.stdout)))
	require.Contains(t, exported.stderr, "sha256")
	require.Equal(t, want, closesOfCSV(t, strings.NewReader(h.ok(t, command("query", "--format", "csv")...).stdout)))
	require.Contains(t, h.ok(t, command("query")...).stderr, "only the first 1000 are shown")
	var rows []map[string]any
	require.NoError(t, json.Unmarshal([]byte(h.ok(t, command("query", "--format", "json")...).stdout), &rows))
	require.Len(t, rows, len(want), "programs get all")
	require.NoError(t, json.Unmarshal([]byte(h.ok(t, command("query", "--format", "json", "--limit", "2")...).stdout), &rows))
	require.Len(t, rows, 2)
	hours := filepath.Join(dir, "hours.parquet")
	h.ok(t, command("query", "--resample", "1h", "--out", hours)...)
	require.InDelta(t, 47, len(closes(t, hours)), 1, "an hour without a candle has no row")

	var m exportManifest
	require.NoError(t, json.Unmarshal([]byte(h.ok(t, command("export", "--out", filepath.Join(dir, "y.csv.gz"), "--summary", "json")...).stdout), &m))
	require.EqualValues(t, len(want), m.Rows)
	require.EqualValues(t, "gzip", m.Compression)
	info, err := os.Stat(filepath.Join(dir, "y.csv.gz.manifest.json"))
	require.NoError(t, err)
	reference := filepath.Join(dir, "reference")
	require.NoError(t, os.WriteFile(reference, nil, 0o666)) // less the umask
	as, err := os.Stat(reference)
	require.NoError(t, err)
	require.Equal(t, as.Mode(), info.Mode())
}

func TestWhatIsThereIsAskedForBeforeItIsOverwritten(t *testing.T) {
	t.Parallel()
	h := setup(t, simmarket.Options{})
	token := simmarket.Tokens(1)[0].Address
	h.backfill(t, 1, "--token", token, "--from", "2025-03-01", "--to", "2025-03-02")
	path := filepath.Join(t.TempDir(), "x.csv")
	for _, how := range []string{"export", "query"} {
		require.NoError(t, os.WriteFile(path, []byte("mine"), 0o600))
		args := []string{"ohlcv", how, "--token", token, "--from", "2025-03-01", "--to", "2025-03-02", "--out", path}
		for _, answer := range []string{"", "n\n"} {
			r := h.runWithInput(t, answer, args...)
			require.Equal(t, exitRefused, r.code)
			require.Contains(t, r.stderr, path+" is there already. Overwrite it? [y/N]")
			kept, err := os.ReadFile(path)
			require.NoError(t, err)
			require.Equal(t, "mine", string(kept))
		}
		require.Zero(t, h.runWithInput(t, "y\n", args...).code)
		require.Greater(t, len(closes(t, path)), 1_000)
		h.ok(t, append(args, "--yes")...)
	}
	for _, wrong := range [][]string{{"--out", "x.txt"}, {"--out", "x"}, {"--out", "x.parquet.gz"}, {"--out", "x.csv", "--format", "parquet"}} {
		r := h.run(t, append([]string{"ohlcv", "export", "--token", token, "--from", "2025-03-01", "--to", "2025-03-02"}, wrong...)...)
		require.Equal(t, exitUsage, r.code, wrong)
		require.NoFileExists(t, wrong[1])
	}
}
