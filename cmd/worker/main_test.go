package main

import (
	"context"
	"encoding/json"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"quantbot/internal/backfill"
	"quantbot/internal/candle"
	"quantbot/internal/clickhouse/clickhousetest"
	"quantbot/internal/local"
	"quantbot/internal/local/localtest"
	"quantbot/internal/manifest"
	"quantbot/internal/simmarket"
	"quantbot/internal/source/register"
	"quantbot/internal/wiring"
)

// roleVariable lets the test binary be the worker itself: signals need a process of their own.
const roleVariable = "TEST_WORKER_PROCESS"

func TestMain(m *testing.M) {
	local.RunChild()
	if os.Getenv(roleVariable) != "" {
		os.Exit(run(context.Background(), os.Args[1:], os.Stdout, os.Stderr))
	}
	localtest.Main(m)
}

// bench is one test's world: stores, a market, and a run that waits for workers.
type bench struct {
	stores *wiring.Stores
	market *simmarket.Server
	vars   map[string]string
	run    backfill.Run
	chunks []backfill.Chunk
}

func setup(t *testing.T, chunks int, latency time.Duration) *bench {
	t.Helper()
	b := &bench{market: simmarket.NewServer(simmarket.Options{Market: simmarket.NewMarket(1), Latency: latency, Now: time.Now})}
	running, err := simmarket.Listen(t.Context(), "127.0.0.1:0", b.market)
	require.NoError(t, err)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		require.NoError(t, running.Close(ctx))
	})
	b.vars = clickhousetest.New(t).Vars()
	b.vars["BIRDEYE_BASE_URL"], b.vars["BIRDEYE_API_KEY"], b.vars["BIRDEYE_RPS"] = running.URL(), "key", "500"
	cfg, err := register.LoadConfig(func(name string) string { return b.vars[name] })
	require.NoError(t, err)
	logger := slog.New(slog.NewTextHandler(t.Output(), nil))
	b.stores, err = wiring.OpenStores(t.Context(), cfg, logger)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, b.stores.Close()) })
	b.launch(t, chunks, logger)
	return b
}

func (b *bench) launch(t *testing.T, chunks int, logger *slog.Logger) {
	t.Helper()
	from := time.Date(2025, 3, 1, 0, 0, 0, 0, time.UTC).Unix()
	m, err := manifest.New(manifest.Manifest{
		Source: "birdeye", Interval: candle.Interval1m, Validation: candle.Lenient, DedupMode: manifest.DedupNone,
		InputHash: t.Name(), Range: candle.Range{From: from, To: from + 86_400},
	}, manifest.CurrentBuild(), time.Now())
	require.NoError(t, err)
	for _, token := range simmarket.Tokens(chunks) {
		b.chunks = append(b.chunks, backfill.NewChunk(token, candle.Interval1m, m.Range))
	}
	b.run = backfill.Run{Manifest: m, Attempt: 1, PlannedChunks: chunks}
	require.NoError(t, b.stores.Launcher(logger, time.Now).Launch(t.Context(), b.run, b.chunks, false))
}

// worker starts a worker process, which ends with the test at the latest.
func (b *bench) worker(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	log, err := os.Create(filepath.Join(t.TempDir(), "worker.log"))
	require.NoError(t, err)
	w := exec.Command(os.Args[0], append([]string{"--concurrency", "4"}, args...)...)
	w.Env = append(os.Environ(), roleVariable+"=1")
	for name, value := range b.vars {
		w.Env = append(w.Env, name+"="+value)
	}
	w.Stdout, w.Stderr = log, log
	require.NoError(t, w.Start())
	t.Cleanup(func() {
		_ = w.Process.Kill() // most have ended
		_ = w.Wait()
		text, err := os.ReadFile(log.Name())
		require.NoError(t, err)
		if t.Failed() {
			t.Logf("worker's log:\n%s", text)
		}
	})
	return w
}

func (b *bench) requests() int64 { return b.market.Stats().Requests }

func (b *bench) eventually(t *testing.T, holds func() bool) {
	t.Helper()
	require.Eventually(t, holds, time.Minute, 5*time.Millisecond)
}

func (b *bench) completed(t *testing.T) backfill.RunRecord {
	t.Helper()
	var record backfill.RunRecord
	b.eventually(t, func() bool {
		var err error
		record, err = b.stores.History.Run(t.Context(), b.run.ID())
		return err == nil && record.Status == backfill.StatusCompleted
	})
	return record
}

// truth is what the market has for the run.
func (b *bench) truth() (candles int64) {
	market := simmarket.NewMarket(1)
	for _, chunk := range b.chunks {
		candles += int64(len(market.Candles(chunk.Token, chunk.Interval, chunk.Range)))
	}
	return candles
}

// exited waits for the end of the process and returns its exit code.
func exited(t *testing.T, w *exec.Cmd, within time.Duration) int {
	t.Helper()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = w.Wait() // the exit code says how it went
	}()
	select {
	case <-ended:
	case <-time.After(within):
		t.Fatalf("the worker did not end within %s", within)
	}
	return w.ProcessState.ExitCode()
}

// SIGTERM: no new task, and what is in work is finished, so that nothing is fetched twice.
func TestAStoppingWorkerFinishesWhatItHas(t *testing.T) {
	t.Parallel()
	const chunks = 48 // more than a worker takes while a busy machine delivers the signal
	b := setup(t, chunks, 300*time.Millisecond)
	first := b.worker(t)
	b.eventually(t, func() bool { return b.requests() >= 6 })
	require.NoError(t, first.Process.Signal(syscall.SIGTERM))
	require.Zero(t, exited(t, first, 20*time.Second))
	asked := b.requests()
	require.Less(t, asked, int64(chunks), "it took no more")
	state, err := b.stores.Ledger.State(t.Context(), b.run.ID())
	require.NoError(t, err)
	require.Equal(t, asked, state.Progress.Succeeded, "what it had is done")

	b.worker(t)
	require.Equal(t, b.truth(), b.completed(t).Stats.Inserted)
	require.EqualValues(t, chunks, b.requests(), "each chunk was asked for once")
}

// A second signal stops at once: what was in work goes back to the queue, and no crash is counted.
func TestASecondSignalStopsAtOnce(t *testing.T) {
	t.Parallel()
	b := setup(t, 4, 0)
	b.market.SetFaults([]simmarket.Fault{{Kind: "slow", Delay: time.Minute}})
	first := b.worker(t)
	b.eventually(t, func() bool { return b.requests() == 4 })
	require.NoError(t, first.Process.Signal(syscall.SIGTERM))
	require.NoError(t, first.Process.Signal(syscall.SIGINT))
	require.Zero(t, exited(t, first, 10*time.Second))
	for _, chunk := range b.chunks {
		admission, err := b.stores.Ledger.Admit(t.Context(), backfill.Task{RunID: b.run.ID(), Attempt: 1, ChunkID: chunk.ID})
		require.NoError(t, err)
		require.Equal(t, backfill.Proceed, admission.Verdict, "its lease is given back")
		require.Zero(t, admission.Crashes)
		_, err = b.stores.Ledger.HandBack(t.Context(),
			backfill.Execution{Task: backfill.Task{RunID: b.run.ID(), Attempt: 1, ChunkID: chunk.ID}, Number: admission.Executions}, backfill.ClassInterrupted, backfill.Cost{})
		require.NoError(t, err)
	}
	b.market.SetFaults(nil)
	b.worker(t)
	require.Equal(t, b.truth(), b.completed(t).Stats.Inserted)
}

// What is tried again is said at INFO, what has failed once, by us and not by asynq too, and each line is JSON.
func TestTheLogIsForPrograms(t *testing.T) {
	t.Parallel()
	b := setup(t, 2, 0)
	b.market.SetFaults([]simmarket.Fault{{Kind: "500", Times: 1}, {Kind: "401"}})
	w := b.worker(t, "--log-format", "json")
	b.eventually(t, func() bool {
		record, err := b.stores.History.Run(t.Context(), b.run.ID())
		return err == nil && record.Status == backfill.StatusFailed
	})
	require.NoError(t, w.Process.Signal(syscall.SIGTERM))
	require.Zero(t, exited(t, w, time.Minute))
	text, err := os.ReadFile(w.Stderr.(*os.File).Name())
	require.NoError(t, err)
	levels := make(map[string][]string)
	for line := range strings.Lines(string(text)) {
		var record struct{ Level, Msg, Detail string }
		require.NoError(t, json.Unmarshal([]byte(line), &record), line)
		levels[record.Msg] = append(levels[record.Msg], record.Level)
		require.NotEqual(t, "asynq", record.Msg, "%s says what we do not", record.Detail)
	}
	require.Equal(t, []string{"INFO"}, levels["chunk is tried again"])
	require.Equal(t, []string{"WARN", "WARN"}, levels["chunk failed"])
}

func TestBadUsageIsReported(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"--concurrency", "0"}, {"--log-level", "loud"}, {"--log-format", "xml"}, {"--no-such-flag"}, {"extra"}} {
		require.Equal(t, 2, run(t.Context(), args, t.Output(), t.Output()))
	}
}
