package dashboard_test

import (
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"quantbot/internal/clickhouse/report"
)

// A commit is called changed only where that is known.
func TestUncommittedChangesAreNamedWhereThereAreSome(t *testing.T) {
	t.Parallel()
	w := setup(t)
	size{runs: 1, chunks: 10, candles: 5000}.fill(t, w)
	runID := w.runs(t, "").Runs[0].RunID.String()
	for dirty, says := range map[string]string{"false": "", "true": "with uncommitted changes", "NULL": "unknown whether with uncommitted changes"} {
		w.env.ClickHouse(t, "ALTER TABLE "+w.env.Database+".ohlcv_run_lifecycle UPDATE git_dirty = "+dirty+" WHERE 1 SETTINGS mutations_sync = 2")
		for _, path := range []string{"/", "/runs/" + runID} {
			shown := w.get(t, path).body
			if says == "" {
				require.NotContains(t, shown, "uncommitted", path)
			} else if path != "/" {
				require.Contains(t, shown, says)
			}
		}
	}
}

// runsAnswer is the answer of /api/runs.
type runsAnswer struct {
	Runs  []report.RunListItem
	Older string
}

func (w *harness) runs(t testing.TB, query string) (a runsAnswer) {
	t.Helper()
	found := w.get(t, "/api/runs"+query)
	require.Equal(t, 200, found.StatusCode, found.body)
	require.NoError(t, json.Unmarshal([]byte(found.body), &a))
	return a
}

// Page by page every run comes once, the newest first, also where several started in the same millisecond.
func TestRunsPageByPage(t *testing.T) {
	t.Parallel()
	w := setup(t)
	size{runs: 60, chunks: 600, candles: 5000}.fill(t, w)
	w.env.ClickHouse(t, fmt.Sprintf("INSERT INTO %[1]s.ohlcv_run_lifecycle SELECT * REPLACE (generateUUIDv4() AS run_id) FROM %[1]s.ohlcv_run_lifecycle WHERE phase = 'ended' AND started_at < fromUnixTimestamp64Milli(1700000000000 + 5 * 600000)", w.env.Database))
	var seen []string
	for query := "?limit=7"; query != ""; {
		page := w.runs(t, query)
		require.LessOrEqual(t, len(page.Runs), 7)
		for _, run := range page.Runs {
			require.NotContains(t, seen, run.RunID.String())
			seen = append(seen, run.RunID.String())
		}
		require.True(t, slices.IsSortedFunc(page.Runs, func(a, b report.RunListItem) int { return b.StartedAt.Compare(a.StartedAt) }))
		query = page.Older
	}
	require.Len(t, seen, 65)
}

// Each filter gives what SQL over the view gives.
func TestRunsAreFiltered(t *testing.T) {
	t.Parallel()
	w := setup(t)
	size{runs: 60, chunks: 600, candles: 5000}.fill(t, w)
	token := strings.TrimSpace(w.env.ClickHouse(t, "SELECT token_address FROM "+w.env.Database+".ohlcv_ingestion_tasks LIMIT 1"))
	first := strings.TrimSpace(w.env.ClickHouse(t, "SELECT run_id FROM "+w.env.Database+".ohlcv_run_lifecycle WHERE input_hash = lower(hex(SHA256('31'))) LIMIT 1"))
	for query, where := range map[string]string{
		"status=failed":        "status = 'failed'",
		"source=geckoterminal": "source = 'geckoterminal'",
		"token=" + token:       "run_id IN (SELECT run_id FROM " + w.env.Database + ".ohlcv_ingestion_tasks WHERE token_address = '" + token + "')",
		"since=2023-11-15":     "started_at >= '2023-11-15'",
		"until=2023-11-15":     "started_at < '2023-11-15'",
		"q=BEN":                "started_by LIKE 'ben%'",
		"q=" + first[:13]:      "run_id = '" + first + "'",
		"q=" + url.QueryEscape("5feceb66ffc86f38d9"): "input_hash LIKE '5feceb66ffc86f38d9%'",
		"q=b6589fc6ab":                 "git_commit_hash LIKE 'b6589fc6ab%'",
		"q=%25":                        "0",
		"status=failed&source=birdeye": "status = 'failed' AND source = 'birdeye'",
	} {
		var wanted []string
		answer := w.env.ClickHouse(t, "SELECT run_id FROM "+w.env.Database+".ohlcv_ingestion_runs WHERE "+where+" ORDER BY started_at DESC")
		if where != "0" {
			wanted = strings.Fields(answer)
			require.NotEmpty(t, wanted, query)
			require.Less(t, len(wanted), 60, query)
		}
		var found []string
		for _, run := range w.runs(t, "?limit=200&"+query).Runs {
			found = append(found, run.RunID.String())
		}
		require.Equal(t, wanted, found, query)
	}
}

// The chunks of a run come page by page, each once, in the order that was asked for.
func TestChunksPageByPage(t *testing.T) {
	t.Parallel()
	w := setup(t)
	size{runs: 10, chunks: 1000, candles: 5000}.fill(t, w)
	run := strings.TrimSpace(w.env.ClickHouse(t, "SELECT run_id FROM "+w.env.Database+".ohlcv_run_lifecycle ORDER BY started_at LIMIT 1"))
	for _, order := range []string{"token", "slowest", "executions", "candles"} {
		var ids []string
		var took []float64
		for page := 1; ; page++ {
			answer := readJSON[struct {
				Chunks struct {
					Tasks []report.TaskDetails
					More  bool
				}
			}](t, w, fmt.Sprintf("/api/runs/%s?limit=30&page=%d&order=%s", run, page, order))
			for _, task := range answer.Chunks.Tasks {
				ids = append(ids, string(task.Chunk.ID))
				took = append(took, -task.Outcome.EndedAt.Sub(task.Outcome.StartedAt).Seconds())
			}
			if !answer.Chunks.More {
				break
			}
		}
		require.Len(t, ids, 100, order)
		slices.Sort(ids)
		require.Len(t, slices.Compact(ids), 100, order)
		if order == "slowest" {
			require.True(t, slices.IsSorted(took))
		}
	}
}
