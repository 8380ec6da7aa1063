package dashboard_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"quantbot/internal/backfill"
	"quantbot/internal/candle"
	"quantbot/internal/manifest"
	"quantbot/internal/operate"
	"quantbot/internal/simmarket"
	"quantbot/internal/source/register"
	"quantbot/internal/wiring"
)

// market starts a simulated market and makes it the test's source.
func (w *harness) market(t testing.TB, faults ...simmarket.Fault) {
	t.Helper()
	server := simmarket.NewServer(simmarket.Options{Market: simmarket.NewMarket(1), Faults: faults, Now: time.Now})
	running, err := simmarket.Listen(t.Context(), "127.0.0.1:0", server)
	require.NoError(t, err)
	t.Cleanup(func() { _ = running.Close(context.Background()) })
	vars := register.Default().PointedAt(running.URL(), "simulated-key-7f3a", "500")
	configured, err := register.LoadConfig(func(name string) string { return vars[name] })
	require.NoError(t, err)
	w.cfg.Sources = configured.Sources
}

// launch starts a run over the last hours of the first tokens: one chunk per token and six hours.
func (w *harness) launch(t testing.TB, tokens, chunksEach int, change ...func(*manifest.Manifest)) backfill.Run {
	t.Helper()
	end := time.Now().Add(-12 * time.Hour).Truncate(time.Hour)
	begin := end.Add(-time.Duration(chunksEach) * 6 * time.Hour)
	dirty := true
	m := manifest.Manifest{
		Source: "birdeye", Interval: candle.Interval1m, Validation: candle.Lenient, DedupMode: manifest.DedupNone, SourceTier: candle.TierBackfillAPI,
		InputHash: fmt.Sprintf("%064x", time.Now().UnixNano()), Range: candle.Range{From: begin.Unix(), To: end.Unix()},
		CLIArgs:  map[string]any{"--from": "-5d", "--tokens": "tokens.txt", "--force": false},
		EnvInfo:  map[string]string{"BIRDEYE_API_KEY": "***", "BIRDEYE_RPS": "50"},
		Services: map[string]string{"birdeye": "simulated"},
	}
	for _, c := range change {
		c(&m)
	}
	build := manifest.Build{Version: "v1.4.2", GitCommitHash: "5b1f0f2c9d3a47e88a0c6de1f2b3c4d5e6f70812", GitBranch: "main", GitDirty: &dirty}
	m, err := manifest.New(m, build, time.Now())
	require.NoError(t, err)
	var chunks []backfill.Chunk
	for _, token := range simmarket.Tokens(tokens) {
		for i := range int64(chunksEach) {
			from := begin.Unix() + i*6*3600
			chunks = append(chunks, backfill.NewChunk(token, candle.Interval1m, candle.Range{From: from, To: from + 6*3600}))
		}
	}
	run := backfill.Run{Manifest: m, Attempt: 1, PlannedChunks: len(chunks)}
	require.NoError(t, w.Launcher(testLogger(t), time.Now).Launch(t.Context(), run, chunks, true))
	return run
}

// work runs a worker until stop is called.
func (w *harness) work(t testing.TB) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var working sync.WaitGroup
	working.Go(func() {
		err := wiring.RunWorker(ctx, wiring.WorkerConfig{
			Config: w.cfg, Concurrency: 8, ShutdownTimeout: 5 * time.Second, SweepCron: "off", Logger: testLogger(t), Now: time.Now,
		})
		if err != nil {
			t.Errorf("run a worker: %v", err)
		}
	})
	stop = sync.OnceFunc(func() { cancel(); working.Wait() })
	t.Cleanup(stop)
	return stop
}

// ended waits for the end of a run in the history.
func (w *harness) ended(t testing.TB, run backfill.Run) (row backfill.RunRow) {
	t.Helper()
	require.Eventually(t, func() bool {
		var err error
		row, err = w.History.RunDetails(t.Context(), run.ID())
		return err == nil && row.Status != string(backfill.StatusRunning)
	}, time.Minute, 50*time.Millisecond)
	return row
}

func (w *harness) operator(t testing.TB) *operate.Operator {
	return w.Operator("test", testLogger(t), time.Now)
}

// history is a set of runs of every kind.
type history struct{ completed, failed, cancelled, rolledBack, running backfill.Run }

// brokenToken is the one that the market refuses to answer for in seed.
func brokenToken() string { return simmarket.Tokens(3)[2].Address }

// seed makes a run of every status, by real work.
func (w *harness) seed(t testing.TB) history {
	t.Helper()
	w.market(t, simmarket.Fault{Kind: "401", Token: brokenToken()})
	stop := w.work(t)
	h := history{completed: w.launch(t, 2, 3)}
	require.Equal(t, "completed", w.ended(t, h.completed).Status)
	h.failed = w.launch(t, 3, 2)
	require.Equal(t, "failed", w.ended(t, h.failed).Status)
	h.rolledBack = w.launch(t, 2, 2)
	w.ended(t, h.rolledBack)
	require.NoError(t, w.operator(t).RollBack(t.Context(), h.rolledBack.ID(), backfill.UndoRequest{By: "ana", Reason: "wrong source"}, false))
	stop()
	h.cancelled = w.launch(t, 2, 2)
	require.NoError(t, w.operator(t).Cancel(t.Context(), h.cancelled.ID()))
	h.running = w.launch(t, 4, 3)
	return h
}
