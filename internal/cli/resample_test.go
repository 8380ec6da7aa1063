package cli

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/parquet-go/parquet-go"
	"github.com/stretchr/testify/require"

	"quantbot/internal/candle"
	"quantbot/internal/simmarket"
)

// A day of two tokens is resampled: the silent minutes of the one are complete, the other's second half failed and is
// marked, in every format, and as of the moment before it was fetched after all.
func TestResampledCandlesAreMarkedWhereSomeAreMissing(t *testing.T) {
	t.Parallel()
	tokens := tradingTokens(t, 2)
	slices.SortFunc(tokens, candle.Token.Compare)
	h := setup(t, simmarket.Options{})
	h.worker(t)
	list := writeTokens(t, tokens)
	h.ok(t, "ingestion", "ohlcv", "--token", tokens[0].Address, "--from", "2025-03-01", "--to", "2025-03-02", "--wait")
	first := row(t, h.ok(t, "ingestion", "ohlcv", "--token", tokens[1].Address, "--from", "2025-03-01", "--to", "2025-03-01T12:30", "--wait", "--format", "json").stdout)
	h.market.SetFaults([]simmarket.Fault{{Kind: "401"}})
	require.Equal(t, exitRunFailed, h.run(t, "ingestion", "ohlcv", "--tokens", list, "--from", "2025-03-01", "--to", "2025-03-02", "--wait").code)
	h.market.SetFaults(nil)

	query := func(token candle.Token, more ...string) (buckets []printedBucket, stderr string) {
		r := h.ok(t, append([]string{"ohlcv", "query", "--token", token.Address, "--from", "2025-03-01", "--to", "2025-03-02", "--resample", "1h", "--format", "json"}, more...)...)
		require.NoError(t, json.Unmarshal([]byte(r.stdout), &buckets))
		return rounded(buckets), r.stderr
	}
	day := candle.Range{From: unix(t, "2025-03-01T00:00:00Z"), To: unix(t, "2025-03-02T00:00:00Z")}
	whole, stderr := query(tokens[0])
	require.Empty(t, stderr, "nothing is missing")
	require.Equal(t, resampled(simmarket.NewMarket(1), tokens[0], day, day), whole)

	half := candle.Range{From: day.From, To: day.From + 12*3600 + 1800}
	want := resampled(simmarket.NewMarket(1), tokens[1], day, half)
	cut, stderr := query(tokens[1])
	require.Equal(t, want, cut)
	require.False(t, cut[len(cut)-1].Complete)
	require.Contains(t, stderr, fmt.Sprintf("1 of %d buckets are incomplete, 11 buckets have no candle and are not confirmed to be empty", len(want)))
	require.Contains(t, h.ok(t, "ohlcv", "query", "--token", tokens[1].Address, "--from", "2025-03-01", "--to", "2025-03-02", "--resample", "4h").stdout, "INCOMPLETE")

	h.ok(t, "ohlcv", "gaps", "--fetch", "--yes", "--wait")
	now, stderr := query(tokens[1])
	require.Empty(t, stderr)
	require.Equal(t, resampled(simmarket.NewMarket(1), tokens[1], day, day), now)
	then, _ := query(tokens[1], "--as-of", fmt.Sprint(first["run_id"]))
	require.Equal(t, want, then)

	h.checkExportedBuckets(t, fmt.Sprint(first["run_id"]), append(resampled(simmarket.NewMarket(1), tokens[0], day, day), want...))
	for _, wrong := range [][]string{{"--resample", "1m"}, {"--resample", "15s"}, {"--resample", "2h"}, {"--resample", "5m", "--interval", "15m"}} {
		r := h.run(t, append([]string{"ohlcv", "query", "--token", tokens[0].Address, "--from", "2025-03-01", "--to", "2025-03-02"}, wrong...)...)
		require.Equal(t, exitUsage, r.code, wrong)
		require.Contains(t, r.stderr, "--resample")
	}
}

// checkExportedBuckets exports what was served when the run ended.
func (h *harness) checkExportedBuckets(t *testing.T, runID string, want []printedBucket) {
	t.Helper()
	incomplete := 0
	for _, bucket := range want {
		if !bucket.Complete {
			incomplete++
		}
	}
	files := make(map[string]string)
	for _, name := range []string{"hours.csv", "hours.parquet"} {
		files[name] = filepath.Join(t.TempDir(), name)
		out := h.ok(t, "ohlcv", "export", "--from", "2025-03-01", "--to", "2025-03-02", "--resample", "1h", "--as-of", runID, "--out", files[name]).stdout
		require.Contains(t, out, fmt.Sprintf("%d candles", len(want)))
		var m exportManifest
		encoded, err := os.ReadFile(files[name] + ".manifest.json")
		require.NoError(t, err)
		require.NoError(t, json.Unmarshal(encoded, &m))
		require.EqualValues(t, len(want), m.Rows)
		require.EqualValues(t, incomplete, *m.Incomplete)
		require.EqualValues(t, 11, *m.Unknown)
		require.Len(t, m.RunIDs, 2)
		require.Equal(t, "1h", m.Query["resample"])
	}
	rows, err := parquet.ReadFile[exportedBucket](files["hours.parquet"])
	require.NoError(t, err)
	file, err := os.ReadFile(files["hours.csv"])
	require.NoError(t, err)
	records, err := csv.NewReader(strings.NewReader(string(file))).ReadAll()
	require.NoError(t, err)
	require.Equal(t, bucketColumns, records[0])
	require.Len(t, rows, len(want))
	require.Len(t, records, len(want)+1)
	for i, bucket := range want {
		row := rows[i]
		require.EqualValues(t, 3600, row.IntervalSeconds)
		require.Equal(t, "birdeye", row.Source)
		require.Equal(t, bucket, rounded([]printedBucket{{
			printedCandle{row.Timestamp.UTC(), row.Open, row.High, row.Low, row.Close, row.Volume, row.VolumeUSD},
			int64(row.Candles), int64(row.ConfirmedEmpty), int64(row.Expected), row.Complete,
		}})[0])
		require.Equal(t, row.Record(nil), records[i+1])
	}
}

// resampled are the hours of the day that a market has, of which everything in asked was answered.
func resampled(market *simmarket.Market, token candle.Token, day, asked candle.Range) (buckets []printedBucket) {
	for open := day.From; open < day.To; open += 3600 {
		hour := candle.Range{From: open, To: open + 3600}
		known := hour.Intersect(asked)
		if known.Empty() {
			continue
		}
		b := printedBucket{Expected: 60}
		for _, c := range market.Candles(token, candle.Interval1m, known) {
			if b.Candles++; b.Candles == 1 {
				b.printedCandle = printedCandle{Timestamp: time.Unix(open, 0).UTC(), Open: c.Open, High: c.High, Low: c.Low}
			}
			b.High, b.Low, b.Close = max(b.High, c.High), min(b.Low, c.Low), c.Close
			b.Volume, b.VolumeUSD = b.Volume+c.Volume, b.VolumeUSD+c.VolumeUSD
		}
		b.ConfirmedEmpty = known.Candles(candle.Interval1m) - b.Candles
		b.Complete = known == hour
		if b.Candles > 0 {
			buckets = append(buckets, b)
		}
	}
	return rounded(buckets)
}

// rounded cuts the sums of the volumes to what does not depend on the order of adding.
func rounded(buckets []printedBucket) []printedBucket {
	for i := range buckets {
		for _, volume := range []*float64{&buckets[i].Volume, &buckets[i].VolumeUSD} {
			*volume, _ = strconv.ParseFloat(strconv.FormatFloat(*volume, 'g', 12, 64), 64)
		}
	}
	return buckets
}
