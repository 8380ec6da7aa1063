package chaos

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"quantbot/internal/candle"
	"quantbot/internal/simmarket"
)

// settle waits until nothing is going on any more, then ends the workers.
func (w *harness) settle(t *testing.T) {
	t.Helper()
	eventually(t, "a run is still running", func() bool {
		running, err := w.tryQuery("quantbot", "SELECT count() FROM ohlcv_ingestion_runs WHERE status = 'running'")
		return err == nil && running[0] == "0"
	})
	eventually(t, "a run is still active in the ledger", func() bool {
		active, err := w.redis.SCard(t.Context(), "quantbot:runs:active").Result()
		return err == nil && active == 0
	})
	eventually(t, "the queue still has tasks", func() bool {
		info, err := w.inspector.GetQueueInfo(ingest)
		return err == nil && info.Pending+info.Active+info.Scheduled+info.Retry == 0
	})
	w.retired.Store(true)
	for _, p := range w.workers {
		p.signal(syscall.SIGTERM)
	}
	w.supervisors.Wait()
	for _, p := range w.workers {
		select {
		case <-p.ended:
			require.Zero(t, p.cmd.ProcessState.ExitCode(), "a worker that was asked to end")
		case <-time.After(time.Minute):
			t.Fatal("a worker does not end")
		}
	}
}

func (w *harness) check(t *testing.T) {
	t.Helper()
	reference := w.reference(t)
	w.checkCandles(t, reference)
	w.checkRuns(t, reference)
	w.checkLedger(t)
	w.checkFetches(t)
	w.checkAnswers(t)
	w.checkSecrets(t)
}

// reference backfills the same inputs without faults, into a database of its own, and returns its name.
func (w *harness) reference(t *testing.T) string {
	t.Helper()
	const database = "reference"
	market := simmarket.NewServer(simmarket.Options{Market: simmarket.NewMarket(w.plan.seed), Faults: w.ofTokens(), Now: time.Now})
	vars := make(map[string]string)
	for name, value := range w.vars {
		vars[name] = value
	}
	vars["BIRDEYE_BASE_URL"], vars["CLICKHOUSE_DATABASE"] = w.serve(t, market), database
	vars["REDIS_URL"] = strings.TrimSuffix(vars["REDIS_URL"], "/0") + "/1"
	worker := w.start(t, "reference-worker", programs.worker, vars, "--concurrency", "8")
	for _, input := range w.completed {
		p := w.start(t, "reference", programs.quantbot, vars, ingestArgs(w.tokenFile(t, input))...)
		<-p.ended
		_, stderr := p.output(t)
		require.Zero(t, p.cmd.ProcessState.ExitCode(), stderr)
	}
	worker.signal(syscall.SIGTERM)
	<-worker.ended
	return database
}

// checkCandles: every candle is there exactly once, with its values; those of the fault-free run are those of the market.
func (w *harness) checkCandles(t *testing.T, reference string) {
	t.Helper()
	const digest = `SELECT count(), uniqExact(chain, token_address, interval_seconds, timestamp),
		sum(cityHash64(chain, token_address, interval_seconds, timestamp, open, high, low, close, volume, volume_usd)) FROM ohlcv_candles`
	want, got := w.query(t, reference, digest), w.query(t, "quantbot", digest)
	require.Equal(t, want, got, "candles served after chaos differ from those of a fault-free run")
	require.Equal(t, got[0], got[1], "a candle is served twice")

	market := simmarket.NewMarket(w.plan.seed)
	var total int64
	spoiled := simmarket.Tokens(3)[2] // its garbage is rejected
	for _, input := range w.completed {
		for _, token := range tokensOf(input) {
			if token != spoiled {
				total += int64(len(market.Candles(token, 60, day)))
			}
		}
	}
	require.Equal(t, total, w.number(t, "quantbot", "SELECT count() FROM ohlcv_candles WHERE token_address != '"+spoiled.Address+"'"),
		"candles served differ from what the market has")
	w.summary.candles, w.summary.inputs = total, int64(len(w.completed))
}

// numbers are the columns of a run that must not depend on what happened to its processes.
const numbers = `planned_chunks, candles_fetched, candles_inserted, candles_rejected, candles_deduplicated, zero_volume_count,
	candles_dropped, tokens_processed, errors_count, cancelled_chunks`

// A run that fetched its whole input has the numbers of the fault-free one. One that was started again, after Redis had
// forgotten that its twin was running, plans only what the twin had not fetched by then; its numbers are those of its chunks,
// and the chunks of all runs of an input together have the numbers of the fault-free one.
func (w *harness) checkRuns(t *testing.T, reference string) {
	t.Helper()
	whole := "SELECT DISTINCT concatWithSeparator(';', input_hash, " + columns() + ") AS n FROM ohlcv_ingestion_runs WHERE status = 'completed' AND planned_chunks = " +
		fmt.Sprint(tokensPerInput) + " ORDER BY n"
	want, got := w.query(t, reference, whole), w.query(t, "quantbot", whole)
	require.Len(t, want, len(w.completed))
	require.Subset(t, want, got, "numbers of completed runs differ from those of fault-free runs (%s)", numbers)
	want, got = w.query(t, reference, chunksOfInputs), w.query(t, "quantbot", chunksOfInputs)
	require.Equal(t, want, got, "numbers of the chunks of all runs of an input differ from those of its fault-free run")
	w.none(t, "a completed run's numbers are not those of its chunks", runsUnlikeTheirChunks)
	w.none(t, "a run breaks the identity", `SELECT run_id FROM ohlcv_ingestion_runs
		WHERE candles_fetched != candles_inserted + candles_rejected + candles_deduplicated`)
	w.none(t, "a chunk breaks the identity", `SELECT chunk_id FROM ohlcv_ingestion_tasks FINAL
		WHERE candles_fetched != candles_inserted + candles_rejected + candles_deduplicated`)
	w.none(t, "an attempt has two ends", `SELECT run_id FROM (SELECT DISTINCT * EXCEPT recorded_at FROM ohlcv_run_lifecycle WHERE phase = 'ended')
		GROUP BY run_id, attempt HAVING count() > 1`)
	w.none(t, "a chunk of a completed run has no success", `SELECT chunk_id FROM ohlcv_ingestion_tasks FINAL
		WHERE run_id IN (SELECT run_id FROM ohlcv_ingestion_runs WHERE status = 'completed')
		GROUP BY run_id, chunk_id HAVING countIf(status = 'success') = 0`)
	w.summary.chunks = w.number(t, "quantbot", "SELECT sum(planned_chunks) FROM ohlcv_ingestion_runs")
}

// chunksOfInputs adds up the chunks that an input's runs have filled, each once.
const chunksOfInputs = `WITH chunks AS (
	SELECT input_hash, chunk_id, any(t.token_address) AS token, any(t.candles_fetched) AS fetched, any(t.candles_inserted) AS inserted,
		any(t.candles_rejected) AS rejected, any(t.candles_deduplicated) AS deduplicated, any(t.zero_volume_count) AS zero, any(t.candles_dropped) AS dropped
	FROM ohlcv_ingestion_tasks AS t FINAL INNER JOIN ohlcv_ingestion_runs AS r ON r.run_id = t.run_id
	WHERE t.status = 'success' AND input_hash IN (SELECT input_hash FROM ohlcv_ingestion_runs WHERE status = 'completed')
	GROUP BY input_hash, chunk_id)
	SELECT concatWithSeparator(';', input_hash, toString(count()), toString(sum(fetched)), toString(sum(inserted)), toString(sum(rejected)),
		toString(sum(deduplicated)), toString(sum(zero)), toString(sum(dropped)), toString(uniqExact(token))) AS n
	FROM chunks GROUP BY input_hash ORDER BY n`

// runsUnlikeTheirChunks lists the completed runs whose row is not the sum of their chunks.
const runsUnlikeTheirChunks = `SELECT r.run_id FROM ohlcv_ingestion_runs AS r LEFT JOIN (
		SELECT run_id, count() AS chunks, sum(fetched) AS fetched, sum(inserted) AS inserted, sum(rejected) AS rejected, sum(deduplicated) AS deduplicated
		FROM (SELECT run_id, chunk_id, any(candles_fetched) AS fetched, any(candles_inserted) AS inserted, any(candles_rejected) AS rejected,
				any(candles_deduplicated) AS deduplicated
			FROM ohlcv_ingestion_tasks FINAL WHERE status = 'success' GROUP BY run_id, chunk_id)
		GROUP BY run_id) AS t ON t.run_id = r.run_id
	WHERE r.status = 'completed' AND (r.planned_chunks, r.candles_fetched, r.candles_inserted, r.candles_rejected, r.candles_deduplicated)
		!= (t.chunks, t.fetched, t.inserted, t.rejected, t.deduplicated)`

// columns makes text of the numbers.
func columns() string {
	var parts []string
	for name := range strings.SplitSeq(numbers, ",") {
		parts = append(parts, fmt.Sprintf("toString(%s)", strings.TrimSpace(name)))
	}
	return strings.Join(parts, ", ")
}

func (w *harness) none(t *testing.T, what, sql string) {
	t.Helper()
	require.Empty(t, w.query(t, "quantbot", sql), what)
}

func (w *harness) checkLedger(t *testing.T) {
	t.Helper()
	for _, pattern := range []string{"quantbot:*:pending", "quantbot:*:lease", "quantbot:input:*"} {
		left, err := w.redis.Keys(t.Context(), pattern).Result()
		require.NoError(t, err)
		require.Empty(t, left, "the ledger still has chunks or inputs in hand")
	}
}

// checkFetches: what had succeeded when Redis was emptied was not fetched again. An input that an operator started twice
// is fetched twice, so only inputs with one run tell.
func (w *harness) checkFetches(t *testing.T) {
	t.Helper()
	once := make(map[string]bool)
	for _, token := range w.query(t, "quantbot", `SELECT token_address FROM ohlcv_ingestion_tasks GROUP BY token_address HAVING uniqExact(run_id) = 1`) {
		once[token] = true
	}
	now := w.market.Stats().ByToken
	for _, f := range w.flushed {
		for token, asked := range f.asked {
			if once[token] {
				require.Equal(t, asked, now[token], "%s had succeeded before FLUSHALL and was fetched again", token)
			}
		}
	}
}

// checkAnswers: what counts as fetched, the market remembers to have sent whole.
func (w *harness) checkAnswers(t *testing.T) {
	t.Helper()
	spoiled := simmarket.Tokens(3)[2] // its garbage is an answer all the same
	for _, line := range w.query(t, "quantbot", `SELECT DISTINCT concatWithSeparator(';', token_address, toString(toUInt32(range_from)), toString(toUInt32(range_to)))
		FROM ohlcv_ingestion_tasks WHERE status = 'success' AND token_address != '`+spoiled.Address+`'`) {
		var address string
		var r candle.Range
		_, err := fmt.Sscan(strings.ReplaceAll(line, ";", " "), &address, &r.From, &r.To)
		require.NoError(t, err, line)
		answered := w.market.Answered(candle.Token{Chain: candle.Solana, Address: address}, candle.Interval1m)
		require.Empty(t, candle.Subtract([]candle.Range{r}, answered), "%s was never answered whole", line)
	}
}

func (w *harness) checkSecrets(t *testing.T) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(w.dir, "*"))
	require.NoError(t, err)
	for _, path := range files {
		text, err := os.ReadFile(path)
		require.NoError(t, err)
		require.NotContains(t, string(text), apiKey, path)
	}
}
