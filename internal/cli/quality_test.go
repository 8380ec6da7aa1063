package cli

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"quantbot/internal/candle"
	"quantbot/internal/simmarket"
)

// recordedFlaws are ways to break a recorded row, with the rule that names it: by lenient and by strict validation.
// o, h, l, c and v are the columns 3 to 7, the open time is column 2.
var recordedFlaws = []struct {
	lenient, strict string
	spoil           func(row []string)
}{
	{"INVALID_RANGE", "INVALID_RANGE", func(row []string) { row[4] = scaled(row[5], 0.5) }},
	{"OPEN_OUTSIDE_RANGE", "OPEN_OUTSIDE_RANGE", func(row []string) { row[3] = scaled(row[4], 2) }},
	{"CLOSE_OUTSIDE_RANGE", "CLOSE_OUTSIDE_RANGE", func(row []string) { row[6] = scaled(row[5], 0.5) }},
	{"NEGATIVE_VALUES", "NEGATIVE_VALUES", func(row []string) { row[7] = "-1" }},
	{"OFF_GRID", "OFF_GRID", func(row []string) { row[2] = later(row[2]) }},
	{"", "ZERO_VOLUME", func(row []string) { row[7] = "0" }},
	{"", "ZERO_PRICE", func(row []string) { row[5] = "0" }},
}

func scaled(value string, factor float64) string {
	v, err := strconv.ParseFloat(value, 64)
	if err != nil {
		panic(err)
	}
	return strconv.FormatFloat(v*factor, 'g', -1, 64)
}

func later(seconds string) string {
	t, err := strconv.ParseInt(seconds, 10, 64)
	if err != nil {
		panic(err)
	}
	return strconv.FormatInt(t+7, 10)
}

// spoiled is the recorded series with every tenth candle broken: the market that serves it, and what became of each candle.
type spoiled struct {
	market          *simmarket.Market
	rows            int64
	lenient, strict map[int64]string // the rule by open time, of rejected candles
	zeroVolume      int64
}

const recordedMint = "5LKHMd2rMSRaG9y4iHwSLRtrJ3dCrJ2CytvBeak8pump"

func spoilRecorded(t *testing.T) spoiled {
	t.Helper()
	file, err := os.Open(filepath.Join("..", "..", "..", "shared", "data", "candles.csv"))
	if os.IsNotExist(err) {
		t.Skip("the recorded market data is not on this machine")
	}
	require.NoError(t, err)
	defer file.Close()
	rows, err := csv.NewReader(file).ReadAll()
	require.NoError(t, err)
	s := spoiled{lenient: make(map[int64]string), strict: make(map[int64]string)}
	var text strings.Builder
	out := csv.NewWriter(&text)
	require.NoError(t, out.Write(rows[0]))
	for _, row := range rows[1:] {
		if row[0] != recordedMint || row[1] != "1m" {
			continue
		}
		if s.rows++; s.rows%10 == 0 {
			flaw := recordedFlaws[int(s.rows/10)%len(recordedFlaws)]
			flaw.spoil(row)
			open, err := strconv.ParseInt(row[2], 10, 64)
			require.NoError(t, err)
			if flaw.lenient != "" {
				s.lenient[open] = flaw.lenient
			}
			s.strict[open] = flaw.strict
			if flaw.strict == "ZERO_VOLUME" {
				s.zeroVolume++
			}
		}
		require.NoError(t, out.Write(row))
	}
	out.Flush()
	require.NoError(t, out.Error())
	s.market, err = simmarket.LoadCSV(strings.NewReader(text.String()))
	require.NoError(t, err)
	return s
}

// Each candle that a source breaks is in quarantine with its rule, its values, its source and its run, and every other one
// is served.
func TestEveryRejectedCandleIsExplained(t *testing.T) {
	t.Parallel()
	s := spoilRecorded(t)
	for validation, rejected := range map[string]map[int64]string{"lenient": s.lenient, "strict": s.strict} {
		t.Run(validation, func(t *testing.T) {
			t.Parallel()
			h := setup(t, simmarket.Options{Market: s.market})
			h.worker(t)
			served := s.market.Candles(candle.Token{Chain: candle.Solana, Address: recordedMint}, candle.Interval1m, candle.Range{From: 0, To: 4_000_000_000})
			r := h.run(t, "ingestion", "ohlcv", "--token", recordedMint, "--validation", validation, "--wait", "--format", "json",
				"--from", candle.FormatTime(served[0].OpenTime), "--to", candle.FormatTime(served[len(served)-1].OpenTime+60))
			require.Equal(t, 0, r.code, r.stderr)
			run := row(t, r.stdout)
			require.EqualValues(t, s.rows, run["candles_fetched"])
			require.EqualValues(t, len(rejected), run["candles_rejected"])
			require.EqualValues(t, s.rows-int64(len(rejected)), run["candles_inserted"])
			require.EqualValues(t, s.zeroVolume, run["zero_volume_count"], "stored or not")

			var want, quarantined []string
			for _, c := range served {
				if rule, ok := rejected[c.OpenTime]; ok {
					want = append(want, explained(c, rule))
				}
			}
			for _, line := range strings.Split(strings.TrimSpace(h.env.ClickHouse(t, fmt.Sprintf(`SELECT toUnixTimestamp(timestamp) AS t, open, high, low, close,
				volume, volume_usd, rule, source, ingestion_run_id, interval_seconds FROM %s FINAL ORDER BY t FORMAT JSONEachRow`, h.table("ohlcv_rejected_candles")))), "\n") {
				var q struct {
					T                                         int64
					Open, High, Low, Close, Volume, VolumeUSD float64
					Rule, Source                              string
					RunID                                     string `json:"ingestion_run_id"`
					Seconds                                   int    `json:"interval_seconds"`
				}
				require.NoError(t, json.Unmarshal([]byte(strings.ReplaceAll(line, "volume_usd", "VolumeUSD")), &q))
				require.Equal(t, "birdeye", q.Source)
				require.Equal(t, run["run_id"], q.RunID)
				require.Equal(t, 60, q.Seconds)
				quarantined = append(quarantined, explained(candle.Candle{OpenTime: q.T, Open: q.Open, High: q.High, Low: q.Low, Close: q.Close, Volume: q.Volume, VolumeUSD: q.VolumeUSD}, q.Rule))
			}
			require.Equal(t, want, quarantined)
			require.EqualValues(t, s.rows-int64(len(rejected)), h.number(t, "SELECT count() FROM "+h.table("ohlcv_candles")), "nothing valid is lost")

			details := h.ok(t, "ohlcv", "runs-details", fmt.Sprint(run["run_id"])).stdout
			for _, rule := range slices.Compact(slices.Sorted(maps.Values(rejected))) {
				require.Contains(t, details, rule)
			}
		})
	}
}

func explained(c candle.Candle, rule string) string {
	return fmt.Sprintf("%d %v %v %v %v %v %v: %s", c.OpenTime, c.Open, c.High, c.Low, c.Close, c.Volume, c.VolumeUSD, rule)
}

// A market that breaks every other candle, sends some twice and some from elsewhere: each sent candle is accounted for.
func TestWhatAMisbehavingMarketSentIsAccountedFor(t *testing.T) {
	t.Parallel()
	day := candle.Range{From: unix(t, "2025-03-01T00:00:00Z"), To: unix(t, "2025-03-02T00:00:00Z")}
	var tokens []candle.Token // that trade on that day
	for _, token := range simmarket.Tokens(20) {
		if truth(simmarket.NewMarket(1), []candle.Token{token}, day) > 0 && len(tokens) < 3 {
			tokens = append(tokens, token)
		}
	}
	h := setup(t, simmarket.Options{Faults: []simmarket.Fault{
		{Kind: "garbage", Token: tokens[0].Address}, {Kind: "duplicate", Token: tokens[1].Address}, {Kind: "outside", Token: tokens[2].Address},
	}})
	h.worker(t)
	r := h.run(t, "ingestion", "ohlcv", "--tokens", writeTokens(t, tokens), "--from", "2025-03-01", "--to", "2025-03-02", "--wait",
		"--format", "json", "--halt-rejection-rate", "0")
	require.Equal(t, 0, r.code, r.stderr)
	run := row(t, r.stdout)
	broken := (truth(simmarket.NewMarket(1), tokens[:1], day) + 1) / 2
	all := truth(simmarket.NewMarket(1), tokens, day)
	require.EqualValues(t, broken, run["candles_rejected"])
	require.EqualValues(t, 1, run["candles_deduplicated"])
	require.EqualValues(t, 1, run["candles_skipped"], "a time that came twice in one answer is not stored twice")
	require.EqualValues(t, 1, run["candles_dropped"])
	require.EqualValues(t, all+1, run["candles_fetched"])
	require.EqualValues(t, all-broken, run["candles_inserted"])
	require.EqualValues(t, broken, h.number(t, "SELECT count() FROM "+h.table("ohlcv_rejected_candles")+" FINAL WHERE rule = 'INVALID_RANGE' AND high < low"))
	require.EqualValues(t, all-broken, h.number(t, "SELECT count() FROM "+h.table("ohlcv_candles")))
}

// A recording of 2023 in which opens lie outside of low and high and one time comes twice: what is stored, rejected and
// deduplicated is exactly what the rules say, and together it is everything.
func TestARecordedSeriesWithFlawsIsExplained(t *testing.T) {
	t.Parallel()
	encoded, err := os.ReadFile(filepath.Join("..", "..", "..", "shared", "data", "geckoterminal_get_ohlcv.json"))
	if os.IsNotExist(err) {
		t.Skip("the recorded market data is not on this machine")
	}
	require.NoError(t, err)
	var body struct {
		Data struct {
			Attributes struct {
				List [][6]float64 `json:"ohlcv_list"`
			} `json:"attributes"`
		} `json:"data"`
	}
	require.NoError(t, json.Unmarshal(encoded, &body))
	rows := body.Data.Attributes.List
	require.Len(t, rows, 100)
	text := "token_address,interval,unix_time,o,h,l,c,v_usd\n"
	valid, outside := map[int64]bool{}, map[int64]bool{}
	for _, r := range rows {
		text += fmt.Sprintf("%s,15m,%d,%v,%v,%v,%v,%v\n", recordedMint, int64(r[0]), r[1], r[2], r[3], r[4], r[5])
		if r[1] < r[3] || r[1] > r[2] {
			outside[int64(r[0])] = true
			continue
		}
		require.True(t, r[4] >= r[3] && r[4] <= r[2] && r[2] >= r[3] && r[5] >= 0, "the only flaw is the open")
		valid[int64(r[0])] = true
	}
	require.Less(t, len(valid)+len(outside), len(rows), "a time comes twice")
	market, err := simmarket.LoadCSV(strings.NewReader(text))
	require.NoError(t, err)
	h := setup(t, simmarket.Options{Market: market})
	h.worker(t)
	run := row(t, h.ok(t, "ingestion", "ohlcv", "--token", recordedMint, "--interval", "15m", "--wait", "--format", "json",
		"--from", candle.FormatTime(int64(rows[99][0])), "--to", candle.FormatTime(int64(rows[0][0])+900)).stdout)
	require.EqualValues(t, len(rows), run["candles_fetched"])
	require.EqualValues(t, len(valid), run["candles_inserted"])
	require.EqualValues(t, len(outside), run["candles_rejected"])
	require.EqualValues(t, len(rows)-len(valid)-len(outside), run["candles_deduplicated"])
	require.EqualValues(t, len(outside), h.number(t, "SELECT count() FROM "+h.table("ohlcv_rejected_candles")+" FINAL WHERE rule = 'OPEN_OUTSIDE_RANGE' AND (open < low OR open > high)"))
	require.EqualValues(t, len(valid), h.number(t, "SELECT count() FROM "+h.table("ohlcv_candles")))
}
