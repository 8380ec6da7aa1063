package chaos

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"quantbot/internal/simmarket"
)

// ingest is the name of the queue of chunks, as an operator's monitor shows it.
const ingest = "ingest"

// unleash runs the schedule while operators launch one input after another, and returns when both have ended.
func (w *harness) unleash(t *testing.T) {
	t.Helper()
	var operators, lasting sync.WaitGroup
	for n := range 2 {
		operators.Go(func() {
			for input := n; !w.over.Load() || input < 4; input += 2 {
				w.backfill(t, input)
			}
		})
	}
	began := time.Now()
	for _, a := range w.plan.actions {
		if t.Failed() {
			break
		}
		time.Sleep(time.Until(began.Add(a.at))) // this is the schedule itself
		lasting.Go(func() { w.do(t, a) })
	}
	lasting.Wait()
	w.over.Store(true)
	operators.Wait()
}

func (w *harness) do(t *testing.T, a action) {
	switch a.kind {
	case killWorker:
		w.endOne(t, a, syscall.SIGKILL)
	case endWorker:
		w.endOne(t, a, syscall.SIGTERM)
	case stopWorker:
		w.freeze(a, w.pickWorker(a))
	case killAllWorkers:
		w.killAllWorkers(a)
	case killEnqueuer:
		if p := w.pickEnqueuer(a); p != nil {
			p.signal(syscall.SIGKILL)
			w.summary.enqueuerDeaths.Add(1)
		}
	case stopEnqueuer:
		w.freeze(a, w.pickEnqueuer(a))
	case killRedis:
		_ = syscall.Kill(w.enginePID(t, "redis_pid"), syscall.SIGKILL)
		w.summary.outages.Add(1)
	case emptyRedis:
		w.emptyRedis(t)
	case killClickHouse:
		_ = syscall.Kill(w.enginePID(t, "clickhouse_pid"), syscall.SIGKILL)
		w.summary.outages.Add(1)
	case stopClickHouse:
		pid := w.enginePID(t, "clickhouse_pid")
		_ = syscall.Kill(pid, syscall.SIGSTOP)
		time.Sleep(a.lasts)
		_ = syscall.Kill(pid, syscall.SIGCONT)
		w.summary.outages.Add(1)
	case refuseInserts:
		w.refuseInserts(t, a)
	case breakSource:
		w.market.SetFaults([]simmarket.Fault{{Kind: "500"}})
		time.Sleep(a.lasts)
		w.market.SetFaults(w.everyday())
		w.summary.outages.Add(1)
	default:
		w.meddle(t, a)
	}
}

// refuseInserts makes ClickHouse refuse what is written to the table of candles as it does when merges fall behind.
func (w *harness) refuseInserts(t *testing.T, a action) {
	const table = "ALTER TABLE ohlcv_candle_versions "
	if _, err := w.tryQuery("quantbot", table+"MODIFY SETTING parts_to_delay_insert = 1, parts_to_throw_insert = 1"); err != nil {
		w.summary.skipped.Add(1) // ClickHouse is away
		return
	}
	time.Sleep(a.lasts)
	eventually(t, "ClickHouse takes inserts again", func() bool {
		_, err := w.tryQuery("quantbot", table+"RESET SETTING parts_to_delay_insert, parts_to_throw_insert")
		return err == nil
	})
	w.summary.outages.Add(1)
}

// meddle does what a person or a wrong clock does to the queue and to runs.
func (w *harness) meddle(t *testing.T, a action) {
	done := false
	switch a.kind {
	case deleteTask:
		id := w.pickTask(a)
		done = id != "" && w.inspector.DeleteTask(ingest, id) == nil
	case archiveTask:
		id := w.pickTask(a)
		done = id != "" && w.inspector.ArchiveTask(ingest, id) == nil
	case skewClock:
		done = w.skew()
	case spoilTask:
		id := w.pickTask(a)
		done = id != "" && w.redis.HSet(t.Context(), "asynq:{"+ingest+"}:t:"+id, "msg", "\xff\xffno message").Err() == nil
	case dropLease:
		done = w.dropLease(a)
	case cancelSomeRun:
		done = w.onSomeRun(t, a, "runs-cancel")
	case reconcileByHand:
		done = w.onSomeRun(t, a, "runs-resume")
	default:
		t.Errorf("unknown fault %q", a.kind)
	}
	if done {
		w.summary.outages.Add(1)
	} else {
		w.summary.skipped.Add(1)
	}
}

// pickWorker waits for a living one for a while: a supervisor may be about to start one.
func (w *harness) pickWorker(a action) *process {
	return w.pickLiving(a, func() []*process { return w.workers })
}

// pickLiving chooses among those of the processes that live. It waits for one for a while.
func (w *harness) pickLiving(a action, processes func() []*process) *process {
	for range 1000 {
		w.mu.Lock()
		var living []*process
		for _, p := range processes() {
			if p != nil && p.alive() {
				living = append(living, p)
			}
		}
		w.mu.Unlock()
		if len(living) > 0 {
			return living[a.pick%uint64(len(living))]
		}
		time.Sleep(20 * time.Millisecond)
	}
	w.summary.skipped.Add(1)
	return nil
}

// endOne signals a worker; its supervisor starts another.
func (w *harness) endOne(t *testing.T, a action, s syscall.Signal) {
	victim := w.pickWorker(a)
	if victim == nil {
		return
	}
	victim.signal(s)
	<-victim.ended
	switch code := victim.cmd.ProcessState.ExitCode(); {
	case s == syscall.SIGKILL:
		w.summary.kills.Add(1)
	case code == 1: // it was still starting, and a store was away
	case code != 0 && code != -1: // -1: another action has killed it meanwhile
		t.Errorf("a worker that was asked to end answered %d", code)
	}
}

func (w *harness) killAllWorkers(a action) {
	w.idle.Store(true)
	w.mu.Lock()
	victims := append([]*process(nil), w.workers...)
	w.mu.Unlock()
	for _, p := range victims {
		p.signal(syscall.SIGKILL)
		w.summary.kills.Add(1)
	}
	time.Sleep(a.lasts)
	w.idle.Store(false)
	w.summary.outages.Add(1)
}

// freeze stops a process and lets it go on, as a zombie if others have taken its work by then.
func (w *harness) freeze(a action, p *process) {
	if p == nil {
		return
	}
	p.signal(syscall.SIGSTOP)
	time.Sleep(a.lasts)
	p.signal(syscall.SIGCONT)
	w.summary.outages.Add(1)
}

// pickEnqueuer waits for one for a while: between two inputs there is none.
func (w *harness) pickEnqueuer(a action) *process {
	p := w.pickLiving(a, func() []*process { return w.enqueuers })
	if p != nil {
		time.Sleep(time.Duration(a.pick%300) * time.Millisecond) // also before and while it plans
	}
	return p
}

// flush is what had succeeded when Redis was emptied, by token, with how often the market was asked for it until then.
type flush struct{ asked map[string]int64 }

func (w *harness) emptyRedis(t *testing.T) {
	done, err := w.tryQuery("quantbot", "SELECT DISTINCT token_address FROM ohlcv_ingestion_tasks FINAL WHERE status = 'success'")
	stats := w.market.Stats()
	if w.redis.FlushAll(t.Context()).Err() != nil {
		w.summary.skipped.Add(1) // Redis is away as well
		return
	}
	w.summary.outages.Add(1)
	if err != nil {
		return // ClickHouse is away as well
	}
	f := flush{asked: make(map[string]int64)}
	for _, token := range done {
		f.asked[token] = stats.ByToken[token]
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.flushed = append(w.flushed, f)
}

func (w *harness) pickTask(a action) string {
	pending, err := w.inspector.ListPendingTasks(ingest, asynq.PageSize(100))
	if err != nil || len(pending) == 0 {
		return ""
	}
	return pending[a.pick%uint64(len(pending))].ID
}

// skew sets the leases of active tasks a minute back: what a worker whose clock is ahead takes them for. The next worker
// that starts looks for such leases at once.
func (w *harness) skew() bool {
	ctx, key := w.redisContext()
	active, err := w.redis.ZRange(ctx, key, 0, -1).Result()
	if err != nil || len(active) == 0 {
		return false
	}
	for _, id := range active {
		past := redis.Z{Score: float64(time.Now().Add(-time.Minute).Unix()), Member: id}
		if w.redis.ZAddXX(ctx, key, past).Err() != nil {
			return false
		}
	}
	return true
}

// dropLease takes the lease of one active task away, whether or not its worker lives.
func (w *harness) dropLease(a action) bool {
	ctx, key := w.redisContext()
	active, err := w.redis.ZRange(ctx, key, 0, -1).Result()
	if err != nil || len(active) == 0 {
		return false
	}
	return w.redis.ZRem(ctx, key, active[a.pick%uint64(len(active))]).Err() == nil
}

// onSomeRun runs a command on a run that is going on. Any of them may be refused: the run may just have ended.
func (w *harness) onSomeRun(t *testing.T, a action, command string) bool {
	running, err := w.tryQuery("quantbot", "SELECT run_id FROM ohlcv_ingestion_runs WHERE status = 'running' ORDER BY run_id")
	if err != nil || len(running) == 0 {
		return false
	}
	p := w.start(t, command, programs.quantbot, w.vars, "ohlcv", command, running[a.pick%uint64(len(running))])
	<-p.ended
	return p.cmd.ProcessState.ExitCode() == 0
}

var client = http.Client{Timeout: 20 * time.Second}

func (w *harness) tryQuery(database, sql string) ([]string, error) {
	address := fmt.Sprintf("http://127.0.0.1:%s/?database=%s", w.vars["CLICKHOUSE_HTTP_PORT"], url.QueryEscape(database))
	request, err := http.NewRequest(http.MethodPost, address, strings.NewReader(sql)) //nolint:noctx // bounded by the client's timeout
	if err != nil {
		return nil, err
	}
	request.SetBasicAuth(w.vars["CLICKHOUSE_USER"], w.vars["CLICKHOUSE_PASSWORD"])
	response, err := client.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, err
	}
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s: %s", response.Status, body)
	}
	return strings.Fields(string(body)), nil
}

// eventually fails the test when the condition does not come to hold.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	require.Eventually(t, holds, settleWithin, 100*time.Millisecond, what)
}
