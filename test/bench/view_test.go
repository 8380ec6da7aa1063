package bench

import (
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"quantbot/internal/backfill"
	"quantbot/internal/candle"
	"quantbot/internal/coverage"
)

// The stores of these two are filled by the Go benchmarks of the package, which know its tables.

func measureView(t *testing.T, b *bench) {
	for range max(1, b.size.rounds-1) {
		results := goBenchmark(t, "BenchmarkServedView", b.size.viewVersions, "40x")
		for _, parts := range []struct {
			name string
			key  string
			goal float64
		}{{"served view / plain table, merged", "parts=1", 3.5}, {"served view / plain table, 10 parts", "parts=10", 6}} {
			metrics := results[parts.key]
			b.add(figure{Group: "view", Name: parts.name, Unit: "×", Goal: parts.goal, AtMost: true}, metrics["x-plain"])
			b.add(figure{Group: "view", Name: strings.Replace(parts.name, " / plain table", ": a token-month", 1), Unit: "ms", Limit: "plain table"}, metrics["view-ms"]).
				limit(metrics["plain-ms"])
		}
	}
}

func measureRollback(t *testing.T, b *bench) {
	for range max(1, b.size.rounds-1) {
		metrics := goBenchmark(t, "BenchmarkRollback", b.size.rollbackVersions, "5x")[""]
		name := "roll back a run of " + number(float64(b.size.rollbackVersions)/2) + " candles, until readers see it"
		b.add(figure{Group: "rollback", Name: name, Unit: "s", Goal: 1, AtMost: true}, metrics["visible-ms"]/1e3)
	}
}

// goBenchmark runs a benchmark of the package clickhouse and returns its metrics by the name of the sub-benchmark.
func goBenchmark(t *testing.T, name string, versions int, times string) map[string]map[string]float64 {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "test", "-run", "^$", "-bench", "^"+name+"$", "-benchtime", times, "-timeout", "20m", "./internal/clickhouse")
	cmd.Dir, cmd.Stderr = "../..", os.Stderr
	cmd.Env = append(os.Environ(), "QUANTBOT_BENCH_VERSIONS="+strconv.Itoa(versions))
	output, err := cmd.Output()
	require.NoError(t, err, string(output))
	results := map[string]map[string]float64{}
	for line := range strings.Lines(string(output)) {
		words := strings.Fields(line)
		if len(words) < 3 || !strings.HasPrefix(words[0], name) {
			continue
		}
		sub := strings.TrimPrefix(strings.TrimPrefix(words[0], name), "/")
		if dash := strings.LastIndex(sub, "-"); dash >= 0 { // the number of processors
			sub = sub[:dash]
		}
		results[sub] = map[string]float64{}
		for i := 2; i+1 < len(words); i += 2 {
			results[sub][words[i+1]], err = strconv.ParseFloat(words[i], 64)
			require.NoError(t, err, line)
		}
	}
	require.NotEmpty(t, results, string(output))
	return results
}

// missing plans what no earlier run has fetched, as the enqueuer does.
func (w *harness) missing(t *testing.T, tokens []candle.Token, span func(int) candle.Range) backfill.Plan {
	t.Helper()
	var wanted []candle.TokenRanges
	for i, token := range tokens {
		wanted = append(wanted, candle.TokenRanges{Token: token, Ranges: []candle.Range{span(i)}})
	}
	slices.SortFunc(wanted, func(a, b candle.TokenRanges) int { return a.Token.Compare(b.Token) })
	coverage := coverage.NewFilter(wanted, candle.Interval1m, time.Now())
	query := backfill.CoverageQuery{Sources: []string{"birdeye"}, Validation: candle.Lenient, Interval: candle.Interval1m, Range: span(0), Tokens: tokens}
	require.NoError(t, w.Reports().FillCoverage(t.Context(), query, coverage))
	plan, err := backfill.NewPlan(t.Context(), backfill.Request{Source: "birdeye", Interval: candle.Interval1m, Wanted: coverage.Missing()},
		backfill.PlanOptions{Now: time.Now(), Cut: backfill.Pages(pageLimit)})
	require.NoError(t, err)
	return plan
}

func percentile(samples []float64, p float64) float64 {
	sorted := slices.Sorted(slices.Values(samples))
	return sorted[min(len(sorted)-1, int(float64(len(sorted))*p/100))]
}
