package chaos

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"quantbot/internal/clickhouse"
	"quantbot/internal/local"
	"quantbot/internal/local/localtest"
	"quantbot/internal/simmarket"
	"quantbot/internal/source/register"
	"quantbot/internal/wiring"
)

const (
	workers        = 3
	tokensPerInput = 120
	latency        = 400 * time.Millisecond
	apiKey         = "distinctive-chaos-key"
	// settleWithin bounds how long everything may take to come to rest after the last fault.
	settleWithin = 5 * time.Minute
)

// harness is the engines, the market and the processes of one seed.
type harness struct {
	plan      schedule
	dir       string
	engines   *local.Engines
	market    *simmarket.Server
	vars      map[string]string
	redis     *redis.Client
	inspector *asynq.Inspector
	history   *clickhouse.DB
	summary   summary

	// supervisors start ended workers again, until retired is set; idle holds them back.
	supervisors   sync.WaitGroup
	retired, idle atomic.Bool

	mu      sync.Mutex
	workers []*process
	// enqueuers are the commands that launch or watch runs right now.
	enqueuers []*process
	flushed   []flush
	// completed are the inputs that have a completed run.
	completed []int
	serial    int
	// over ends the launching of further inputs.
	over atomic.Bool
}

// summary counts what happened, for the summary.
type summary struct {
	kills, enqueuerDeaths, outages, skipped atomic.Int64
	inputs, chunks, candles                 int64
}

// String is the line that a person reads; what is lost, doubled or stuck fails the test instead.
func (t *summary) String() string {
	return fmt.Sprintf("%d kills, %d enqueuer deaths, %d other faults (%d found nothing to hit), %d inputs, %d chunks, %d candles: 0 lost, 0 doubled, 0 stuck",
		t.kills.Load(), t.enqueuerDeaths.Load(), t.outages.Load(), t.skipped.Load(), t.inputs, t.chunks, t.candles)
}

// process is a running program.
type process struct {
	cmd   *exec.Cmd
	log   string
	ended chan struct{}
}

func (p *process) alive() bool {
	select {
	case <-p.ended:
		return false
	default:
		return true
	}
}

// signal may find the process gone.
func (p *process) signal(s syscall.Signal) { _ = p.cmd.Process.Signal(s) }

func newHarness(t *testing.T, plan schedule) *harness {
	t.Helper()
	dir, err := os.MkdirTemp("", "quantbot-chaos-logs-") //nolint:usetesting // -chaos.keep keeps it
	require.NoError(t, err)
	w := &harness{plan: plan, dir: dir}
	t.Cleanup(func() { w.showLogs(t) })
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	w.engines, err = local.Start(ctx, local.Options{Dir: localtest.Directory(t), Logger: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		require.NoError(t, w.engines.Stop(ctx))
	})
	w.market = simmarket.NewServer(simmarket.Options{Market: simmarket.NewMarket(plan.seed), Latency: latency, Now: time.Now})
	w.market.SetFaults(w.everyday())
	w.vars = w.engines.Vars()
	w.vars["BIRDEYE_BASE_URL"], w.vars["BIRDEYE_API_KEY"], w.vars["BIRDEYE_RPS"] = w.serve(t, w.market), apiKey, "200"
	w.connect(t)
	w.workers = make([]*process, workers)
	for slot := range workers {
		w.workers[slot] = w.startWorker(t)
		w.supervisors.Go(func() { w.supervise(t, slot) })
	}
	return w
}

func (w *harness) serve(t *testing.T, market *simmarket.Server) (url string) {
	t.Helper()
	running, err := simmarket.Listen(t.Context(), "127.0.0.1:0", market)
	require.NoError(t, err)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		require.NoError(t, running.Close(ctx))
	})
	return running.URL()
}

func (w *harness) connect(t *testing.T) {
	t.Helper()
	options, err := redis.ParseURL(w.vars["REDIS_URL"])
	require.NoError(t, err)
	w.redis = redis.NewClient(options)
	t.Cleanup(func() { require.NoError(t, w.redis.Close()) })
	conn, err := asynq.ParseRedisURI(w.vars["REDIS_URL"])
	require.NoError(t, err)
	w.inspector = asynq.NewInspector(conn)
	t.Cleanup(func() { require.NoError(t, w.inspector.Close()) })
	cfg, err := register.LoadConfig(func(name string) string { return w.vars[name] })
	require.NoError(t, err)
	w.history, err = wiring.OpenHistory(t.Context(), cfg, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, w.history.Close()) })
	_, err = w.history.Migrate(t.Context())
	require.NoError(t, err)
}

// everyday are faults that are always there. Those of a token are part of its data: a fault-free run meets them as well.
func (w *harness) everyday() []simmarket.Fault {
	return append(w.ofTokens(),
		simmarket.Fault{Kind: "429", Every: 47, RetryAfter: 1},
		simmarket.Fault{Kind: "cut", Every: 53},
		simmarket.Fault{Kind: "slow", Every: 61, Delay: 2 * time.Second})
}

func (w *harness) ofTokens() []simmarket.Fault {
	tokens := simmarket.Tokens(3)
	return []simmarket.Fault{
		{Kind: "duplicate", Token: tokens[0].Address},
		{Kind: "outside", Token: tokens[1].Address},
		{Kind: "garbage", Token: tokens[2].Address},
	}
}

// start runs a program with its output in a log of its own.
func (w *harness) start(t *testing.T, name, program string, vars map[string]string, args ...string) *process {
	t.Helper()
	w.mu.Lock()
	w.serial++
	path := filepath.Join(w.dir, fmt.Sprintf("%04d-%s", w.serial, name))
	w.mu.Unlock()
	stdout, err := os.Create(path + ".out")
	require.NoError(t, err)
	defer stdout.Close()
	stderr, err := os.Create(path + ".log")
	require.NoError(t, err)
	defer stderr.Close()
	p := &process{cmd: exec.Command(program, args...), log: path, ended: make(chan struct{})}
	p.cmd.Env = os.Environ()
	for name, value := range vars {
		p.cmd.Env = append(p.cmd.Env, name+"="+value)
	}
	p.cmd.Stdout, p.cmd.Stderr = stdout, stderr
	require.NoError(t, p.cmd.Start())
	go func() {
		defer close(p.ended)
		_ = p.cmd.Wait() // the exit code is read by whoever wants it
	}()
	t.Cleanup(func() {
		p.signal(syscall.SIGCONT)
		p.signal(syscall.SIGKILL)
		<-p.ended
	})
	return p
}

func (w *harness) startWorker(t *testing.T) *process {
	t.Helper()
	return w.start(t, "worker", programs.worker, w.vars, "--concurrency", "4", "--shutdown-timeout", "20s")
}

// supervise starts the worker of a slot again whenever it has ended: also one that ended because a store was away when
// it started, as any service manager would.
func (w *harness) supervise(t *testing.T, slot int) {
	for {
		w.mu.Lock()
		p := w.workers[slot]
		w.mu.Unlock()
		<-p.ended
		for w.idle.Load() && !w.retired.Load() && !t.Failed() {
			time.Sleep(100 * time.Millisecond)
		}
		if w.retired.Load() || t.Failed() {
			return
		}
		time.Sleep(500 * time.Millisecond)
		fresh := w.startWorker(t)
		w.mu.Lock()
		w.workers[slot] = fresh
		w.mu.Unlock()
	}
}

func (p *process) output(t *testing.T) (stdout, stderr string) {
	t.Helper()
	out, err := os.ReadFile(p.log + ".out")
	require.NoError(t, err)
	log, err := os.ReadFile(p.log + ".log")
	require.NoError(t, err)
	return string(out), string(log)
}

// enginePID reads the process of an engine as its keeper knows it: a killed engine comes back as another.
func (w *harness) enginePID(t *testing.T, field string) int {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(w.engines.Dir(), "engines.json"))
	require.NoError(t, err)
	var state map[string]any
	require.NoError(t, json.Unmarshal(data, &state))
	pid, ok := state[field].(float64)
	require.True(t, ok, "%s in %s", field, data)
	return int(pid)
}

// query asks ClickHouse over its HTTP port, which the driver's pools do not share.
func (w *harness) query(t *testing.T, database, sql string) []string {
	t.Helper()
	out, err := w.tryQuery(database, sql)
	require.NoError(t, err, sql)
	return out
}

func (w *harness) number(t *testing.T, database, sql string) int64 {
	t.Helper()
	lines := w.query(t, database, sql)
	require.Len(t, lines, 1, sql)
	n, err := strconv.ParseInt(lines[0], 10, 64)
	require.NoError(t, err)
	return n
}

// showLogs prints the ends of all logs of a failed test, and removes them otherwise.
func (w *harness) showLogs(t *testing.T) {
	if *keepFlag {
		t.Logf("logs: %s", w.dir)
		return
	}
	if t.Failed() {
		logs, _ := filepath.Glob(filepath.Join(w.dir, "*.log"))
		for _, path := range logs {
			text, _ := os.ReadFile(path)
			lines := strings.Split(strings.TrimSpace(string(text)), "\n")
			t.Logf("%s:\n%s", filepath.Base(path), strings.Join(lines[max(0, len(lines)-12):], "\n"))
		}
	}
	_ = os.RemoveAll(w.dir)
}
