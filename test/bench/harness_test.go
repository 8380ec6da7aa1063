package bench

import (
	"context"
	"log/slog"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"quantbot/internal/backfill"
	"quantbot/internal/candle"
	"quantbot/internal/config"
	"quantbot/internal/local/localtest"
	"quantbot/internal/manifest"
	"quantbot/internal/simmarket"
	"quantbot/internal/source/register"
	"quantbot/internal/wiring"
)

// harness is a ClickHouse database and a Redis database of a measurement's own.
type harness struct {
	*wiring.Stores
	env  *localtest.Env
	vars map[string]string
}

func newHarness(t *testing.T) *harness {
	t.Helper()
	w := &harness{env: localtest.New(t)}
	w.vars = w.env.Vars()
	w.vars["BIRDEYE_API_KEY"], w.vars["BIRDEYE_RPS"] = "bench", "100000"
	stores, err := wiring.OpenStores(t.Context(), w.config(t), quiet)
	require.NoError(t, err)
	w.Stores = stores
	t.Cleanup(func() {
		require.NoError(t, stores.Redis.FlushDBAsync(context.Background()).Err())
		require.NoError(t, stores.Close())
	})
	return w
}

var quiet = slog.New(slog.DiscardHandler)

func (w *harness) config(t *testing.T) config.Config {
	t.Helper()
	cfg, err := register.LoadConfig(func(name string) string { return w.vars[name] })
	require.NoError(t, err)
	return cfg
}

// startWorkers starts worker processes and returns once they take tasks. They end with the test, or by stop.
func (w *harness) startWorkers(t *testing.T, n int, args ...string) (processes []*exec.Cmd, stop func()) {
	t.Helper()
	program := worker(t)
	for range n {
		cmd := exec.Command(program, append([]string{"--sweep-cron", "off"}, args...)...)
		cmd.Env = os.Environ()
		for name, value := range w.vars {
			cmd.Env = append(cmd.Env, name+"="+value)
		}
		require.NoError(t, cmd.Start())
		processes = append(processes, cmd)
	}
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		for _, cmd := range processes {
			_ = cmd.Process.Signal(syscall.SIGTERM) // it may have ended, which Wait says
		}
		for _, cmd := range processes {
			require.NoError(t, cmd.Wait())
		}
		require.Eventually(t, func() bool { alive, err := w.Queue.Workers(); return err == nil && alive == 0 }, time.Minute, 10*time.Millisecond)
	}
	t.Cleanup(stop)
	require.Eventually(t, func() bool { alive, err := w.Queue.Workers(); return err == nil && alive == n }, time.Minute, 10*time.Millisecond)
	return processes, stop
}

// peakMemory is the largest resident set of a process so far, in MB.
func peakMemory(t *testing.T, process *exec.Cmd) float64 {
	t.Helper()
	text := field("/proc/"+strconv.Itoa(process.Process.Pid)+"/status", "VmHWM")
	kb, err := strconv.ParseFloat(strings.TrimSuffix(text, " kB"), 64)
	require.NoError(t, err)
	return kb / 1024
}

// planOf cuts the range of each token as Birdeye's source wants it.
func planOf(t *testing.T, tokens []candle.Token, span func(i int) candle.Range) backfill.Plan {
	t.Helper()
	request := backfill.Request{Source: register.DefaultName, Interval: candle.Interval1m, Validation: candle.Lenient, DedupMode: manifest.DedupNone, SourceTier: candle.TierBackfillAPI}
	for i, token := range tokens {
		request.Wanted = append(request.Wanted, candle.TokenRanges{Token: token, Ranges: []candle.Range{span(i)}})
	}
	plan, err := backfill.NewPlan(t.Context(), request, backfill.PlanOptions{Now: time.Now(), SettleDelay: time.Minute, Cut: backfill.Pages(pageLimit)})
	require.NoError(t, err)
	return plan
}

func newRun(t *testing.T, plan backfill.Plan) backfill.Run {
	t.Helper()
	m, err := manifest.New(manifest.Manifest{
		InputHash: uuid.NewString(), Source: register.DefaultName, Interval: candle.Interval1m, Range: plan.Range, Validation: candle.Lenient,
		DedupMode: manifest.DedupNone, SourceTier: candle.TierBackfillAPI,
	}, manifest.CurrentBuild(), time.Now())
	require.NoError(t, err)
	return backfill.Run{Manifest: m, Attempt: 1, PlannedChunks: len(plan.Chunks)}
}

// fill launches a run and waits for its end; all of it must be there.
func (w *harness) fill(t *testing.T, plan backfill.Plan) (run backfill.Run, took time.Duration) {
	t.Helper()
	run = newRun(t, plan)
	began := time.Now()
	require.NoError(t, w.Launcher(quiet, time.Now).Launch(t.Context(), run, plan.Chunks, false))
	result := w.await(t, run)
	took = time.Since(began)
	require.Equal(t, backfill.StatusCompleted, result.Status, result.ErrorMessage)
	require.Equal(t, plan.Candles, result.Stats.Inserted)
	return run, took
}

// stalled is how long a run may stand still before measuring it is given up.
const stalled = 2 * time.Minute

func (w *harness) await(t *testing.T, run backfill.Run) *backfill.RunRecord {
	t.Helper()
	moved, pending := time.Now(), -1
	for ticker := time.Tick(10 * time.Millisecond); ; <-ticker {
		state, err := w.Ledger.State(t.Context(), run.ID())
		require.NoError(t, err)
		if state.Result != nil {
			return state.Result
		}
		if state.Pending != pending {
			moved, pending = time.Now(), state.Pending
		}
		require.Less(t, time.Since(moved), stalled, "the run stands still with %d chunks pending", pending)
	}
}

// begin is where the candles of measurements begin: 2024-01-01.
const begin = 1_704_067_200

// all is the same range for every token.
func all(minutes int) func(int) candle.Range {
	return func(int) candle.Range { return candle.Range{From: begin, To: begin + 60*int64(minutes)} }
}

func tokens(n int) []candle.Token { return simmarket.Tokens(n) }
