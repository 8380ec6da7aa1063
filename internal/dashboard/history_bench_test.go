package dashboard_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"quantbot/internal/clickhouse/clickhousetest"
	"quantbot/internal/wiring/dashboardwiring"
)

// historyBenchPages are measured; {busy} is a token that trades all the time, {quiet} one that does now and then.
var historyBenchPages = []struct{ name, path string }{
	{"coverage", "/coverage"},
	{"coverage of busy tokens", "/coverage?from=2025-01-01&to=2025-02-01"},
	{"coverage, last page", "/coverage?from=2025-01-01&to=2025-02-01&page={pages}"},
	{"coverage of a week", "/coverage?from=2025-01-05&to=2025-01-12"},
	{"coverage of a quarter", "/coverage?from=2024-12-01&to=2025-03-02"},
	{"coverage by text", "/coverage?from=2025-01-01&to=2025-02-01&token=abc"},
	{"token", "/tokens/solana/{busy}"},
	{"token, four weeks", "/tokens/solana/{busy}?from=2025-01-01&to=2025-01-29"},
	{"token with versions", "/tokens/solana/{busy}?from=2025-01-02&to=2025-01-02T04:00:00Z&at=2025-01-02T01:00:00Z"},
	{"quiet token", "/tokens/solana/{quiet}"},
	{"quality", "/quality"},
	{"quality of all runs", "/quality?from=2025-01-01"},
	{"quality by run", "/quality?from=2025-01-01&by=run"},
}

// BenchmarkHistoryPages measures what coverage, tokens and quality take at the server: median-ms is of all answers, cpu-ms/op what
// ClickHouse and the dashboard compute for one.
// QUANTBOT_BENCH_FULL=1 makes it 10,000 runs, 1,000,000 chunks, 20 M candles and 100,000 tokens.
func BenchmarkHistoryPages(b *testing.B) {
	w := setup(b, func(_ map[string]string, o *dashboardwiring.Options) {
		o.Now = func() time.Time { return clickhousetest.End }
	})
	h := clickhousetest.Sized(os.Getenv("QUANTBOT_BENCH_FULL"))
	h.Fill(func(statement string) { execute(b, w, statement) })
	address := func(offset int) string {
		return strings.TrimSpace(w.env.ClickHouse(b, fmt.Sprintf("SELECT DISTINCT token_address FROM %s.ohlcv_ingestion_tasks ORDER BY token_address LIMIT 1 OFFSET %d", w.env.Database, offset)))
	}
	places := strings.NewReplacer("{busy}", address(0), "{quiet}", address(h.Tokens/2), "{pages}", fmt.Sprint(max(h.Tokens/30, 1)))
	for _, page := range historyBenchPages {
		path := places.Replace(page.path)
		b.Run(page.name, func(b *testing.B) {
			var took []float64
			before := w.cpuMillis(b)
			for b.Loop() {
				began := time.Now()
				if a := w.get(b, path); a.StatusCode != http.StatusOK {
					b.Fatal(path, a.StatusCode, a.body)
				}
				took = append(took, 1e3*time.Since(began).Seconds())
			}
			slices.Sort(took)
			b.ReportMetric(took[len(took)/2], "median-ms")
			b.ReportMetric((w.cpuMillis(b)-before)/float64(b.N), "cpu-ms/op")
		})
	}
}

// execute runs a statement that may take minutes.
func execute(b *testing.B, w *harness, statement string) {
	b.Helper()
	address := "http://" + net.JoinHostPort(w.env.Host, strconv.Itoa(w.env.HTTPPort)) + "/?database=" + w.env.Database
	request, err := http.NewRequestWithContext(b.Context(), http.MethodPost, address, strings.NewReader(statement))
	require.NoError(b, err)
	request.SetBasicAuth(w.env.User, w.env.Password)
	response, err := http.DefaultClient.Do(request)
	require.NoError(b, err)
	defer response.Body.Close()
	said, err := io.ReadAll(response.Body)
	require.NoError(b, err)
	require.Equal(b, http.StatusOK, response.StatusCode, string(said))
}
