package bench

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"quantbot/internal/backfill"
	"quantbot/internal/candle"
	"quantbot/internal/simmarket"
)

// measurePlan plans a large run: pure, no store.
func measurePlan(t *testing.T, b *bench) {
	for range b.size.rounds {
		wanted := tokens(b.size.planned / 40)
		runtime.GC()
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		began := time.Now()
		plan := planOf(t, wanted, all(40*4*pageLimit))
		took := time.Since(began)
		runtime.ReadMemStats(&after)
		require.Len(t, plan.Chunks, b.size.planned)
		name := "plan " + number(float64(b.size.planned)) + " chunks"
		b.add(figure{Group: "plan", Name: name, Unit: "s", Goal: 2, AtMost: true}, took.Seconds())
		// All that was allocated on the way is at least what was held at once.
		b.add(figure{Group: "plan", Name: name + ", memory at most", Unit: "MB", Goal: 1_000, AtMost: true}, float64(after.TotalAlloc-before.TotalAlloc)/1e6)
	}
}

// measureQueue launches a run without workers, then records its outcomes and finishes it: a tenth of the chunks, then all.
func measureQueue(t *testing.T, b *bench) {
	for round := range b.size.rounds {
		t.Run(fmt.Sprint(round), func(t *testing.T) {
			w := newHarness(t)
			tenth, all := planTokens(t, b.size.chunks/10), planTokens(t, b.size.chunks)
			small, big := w.cycle(t, tenth), w.cycle(t, all)
			n := float64(len(all.Chunks))
			of := number(n) + " chunks"
			b.add(figure{Group: "queue", Name: "launch " + of + ", plan stored", Unit: "chunks/s", Goal: 15_000, Limit: "bare asynq, enqueue"}, n/big.launch.Seconds()).
				limit(bareEnqueue(t, w, len(all.Chunks)))
			b.add(figure{Group: "queue", Name: "record outcomes of " + of, Unit: "outcomes/s", Goal: 20_000, Limit: "empty scripts"}, n/big.record.Seconds()).
				limit(emptyScripts(t, w, len(all.Chunks)))
			b.add(figure{Group: "queue", Name: "finish a run of " + of, Unit: "s", Goal: 5, AtMost: true}, big.finish.Seconds())
			b.add(figure{Group: "queue", Name: "10 × the chunks to launch, record and finish cost", Unit: "×", Goal: 11, AtMost: true}, big.all().Seconds()/small.all().Seconds())
		})
	}
}

// planTokens plans n chunks of ten days each, 40 per token: more than any list of calls has.
func planTokens(t *testing.T, n int) backfill.Plan {
	t.Helper()
	plan := planOf(t, tokens(max(1, n/40)), all(min(n, 40)*4*pageLimit))
	require.Len(t, plan.Chunks, n)
	return plan
}

type cycle struct{ launch, record, finish time.Duration }

func (c cycle) all() time.Duration { return c.launch + c.record + c.finish }

func (w *harness) cycle(t *testing.T, plan backfill.Plan) (c cycle) {
	t.Helper()
	run := newRun(t, plan)
	began := time.Now()
	require.NoError(t, w.Launcher(quiet, time.Now).Launch(t.Context(), run, plan.Chunks, false))
	c.launch = time.Since(began)
	state, err := w.Ledger.State(t.Context(), run.ID())
	require.NoError(t, err)

	began = time.Now()
	each(t, len(plan.Chunks), func(i int) error {
		chunk := plan.Chunks[i]
		outcome := backfill.Outcome{
			ChunkID: chunk.ID, Token: chunk.Token, Range: chunk.Range, Status: backfill.OutcomeSuccess, Source: "birdeye", Executions: 1,
			Stats: backfill.Stats{Fetched: 20_000, Inserted: 20_000, APICalls: 4, Credits: 480}, Worker: "host-of-a-worker:12345", Version: "v1.2.3",
			StartedAt: time.Now().UTC(), EndedAt: time.Now().UTC(),
		}
		_, err := w.Ledger.Record(t.Context(), backfill.Task{RunID: run.ID(), Attempt: 1, ChunkID: chunk.ID}, state.Epoch, outcome)
		return err
	})
	c.record = time.Since(began)

	began = time.Now()
	require.NoError(t, w.Finisher(quiet, time.Now).Finish(t.Context(), run.ID(), 1))
	c.finish = time.Since(began)
	require.EqualValues(t, len(plan.Chunks)*20_000, w.await(t, run).Stats.Inserted)
	require.NoError(t, w.Redis.FlushDBAsync(t.Context()).Err()) // the tasks are of no use any more
	return c
}

// each does it n times, as many at once as a worker does.
func each(t *testing.T, n int, do func(i int) error) {
	t.Helper()
	var next atomic.Int64
	var group errgroup.Group
	for range 32 {
		group.Go(func() error {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				if err := do(i); err != nil {
					return err
				}
			}
			return nil
		})
	}
	require.NoError(t, group.Wait())
}

func redisOf(t *testing.T, w *harness) asynq.RedisConnOpt {
	t.Helper()
	conn, err := asynq.ParseRedisURI(w.vars["REDIS_URL"])
	require.NoError(t, err)
	return conn
}

// payload is as long as ours.
var payload = []byte(strings.Repeat("x", 240))

// bareEnqueue enqueues tasks of our size with asynq alone, and returns how many a second.
func bareEnqueue(t *testing.T, w *harness, n int) float64 {
	t.Helper()
	client := asynq.NewClient(redisOf(t, w))
	defer client.Close()
	began := time.Now()
	each(t, n, func(i int) error {
		_, err := client.Enqueue(asynq.NewTask("noop", payload), asynq.TaskID(uuid.NewString()+":1:"+strconv.Itoa(i)), asynq.Queue("bare"))
		return err
	})
	rate := float64(n) / time.Since(began).Seconds()
	inspector := asynq.NewInspector(redisOf(t, w))
	defer inspector.Close()
	require.NoError(t, inspector.DeleteQueue("bare", true))
	return rate
}

// noopTasks runs tasks that do nothing with asynq alone, as many at once as a worker does, and returns how many a second.
func noopTasks(t *testing.T, w *harness, n int) float64 {
	t.Helper()
	client := asynq.NewClient(redisOf(t, w))
	defer client.Close()
	each(t, n, func(int) error {
		_, err := client.Enqueue(asynq.NewTask("noop", payload), asynq.Queue("noop"))
		return err
	})
	var done atomic.Int64
	all := make(chan struct{})
	server := asynq.NewServer(redisOf(t, w), asynq.Config{Concurrency: 16, Queues: map[string]int{"noop": 1}, LogLevel: asynq.FatalLevel})
	began := time.Now()
	require.NoError(t, server.Start(asynq.HandlerFunc(func(context.Context, *asynq.Task) error {
		if done.Add(1) == int64(n) {
			close(all)
		}
		return nil
	})))
	<-all
	rate := float64(n) / time.Since(began).Seconds()
	server.Shutdown()
	return rate
}

// emptyScripts runs a script that does nothing with the arguments of an outcome, and returns how many a second.
func emptyScripts(t *testing.T, w *harness, n int) float64 {
	t.Helper()
	script := redis.NewScript("return {'kept', 0, 0}")
	outcome := strings.Repeat("x", 600)
	began := time.Now()
	each(t, n, func(int) error {
		return script.Run(t.Context(), w.Redis, []string{"a", "b", "c", "d", "e", "f", "g"}, 1, 1, "chunk", 2, outcome, "succeeded", 1, 1, 0, 1000, 480).Err()
	})
	return float64(n) / time.Since(began).Seconds()
}

// measureCalls counts the calls of a run, and of the same run once more.
func measureCalls(t *testing.T, b *bench) {
	w := newHarness(t)
	source := newPages(begin, 45_000)
	w.vars["BIRDEYE_BASE_URL"] = serve(t, source)
	_, stop := w.startWorkers(t, 1)
	plan := planOf(t, tokens(20), all(45_000))
	w.fill(t, plan)
	fewest := int64(0)
	for _, chunk := range plan.Chunks {
		fewest += (chunk.Range.Candles(chunk.Interval) + pageLimit - 1) / pageLimit
	}
	b.add(figure{Group: "calls", Name: "API calls / the fewest possible", Unit: "×", Goal: 1, AtMost: true}, float64(source.Requests.Load())/float64(fewest))
	before := source.Requests.Load()
	w.fill(t, w.missing(t, tokens(20), all(45_000)))
	b.add(figure{Group: "calls", Name: "API calls of a second identical run", Unit: "calls", AtMost: true}, float64(source.Requests.Load()-before)).Verdict = verdict(source.Requests.Load() == before)
	stop()
}

func verdict(reached bool) string {
	if reached {
		return "reached"
	}
	return "missed"
}

// stamped notes when a chunk is enqueued.
type stamped struct {
	backfill.Queue
	at map[string]time.Time
}

func (s stamped) EnqueueChunks(ctx context.Context, run backfill.Run, chunks []backfill.Chunk) error {
	for _, chunk := range chunks {
		s.at[chunk.Token.Address] = time.Now()
	}
	return s.Queue.EnqueueChunks(ctx, run, chunks)
}

// measureLatency gives idle workers one chunk at a time: how long from enqueueing it to asking the source for it.
func measureLatency(t *testing.T, b *bench) {
	w := newHarness(t)
	source := newPages(begin, 1_440)
	source.arrived = map[string]time.Time{}
	w.vars["BIRDEYE_BASE_URL"] = serve(t, source)
	_, stop := w.startWorkers(t, 4)
	launcher := w.Launcher(quiet, time.Now)
	enqueued := stamped{launcher.Queue, map[string]time.Time{}}
	launcher.Queue = enqueued
	var waits []float64
	for i, token := range simmarket.Tokens(b.size.lonely) {
		time.Sleep(time.Duration(37+i*53%100) * time.Millisecond) // not in step with the workers' polling
		plan := planOf(t, []candle.Token{token}, all(60))
		run := newRun(t, plan)
		require.NoError(t, launcher.Launch(t.Context(), run, plan.Chunks, false))
		w.await(t, run)
		source.mu.Lock()
		waits = append(waits, 1e3*source.arrived[token.Address].Sub(enqueued.at[token.Address]).Seconds())
		source.mu.Unlock()
	}
	b.add(figure{Group: "latency", Name: "idle workers, enqueue → ask the source, median", Unit: "ms"}, percentile(waits, 50))
	b.add(figure{Group: "latency", Name: "idle workers, enqueue → ask the source, p99", Unit: "ms", Goal: 250, AtMost: true}, percentile(waits, 99))
	stop()
}

// measureBudget has four workers share an allowance of 50 requests a second at a server that counts any rolling second.
func measureBudget(t *testing.T, b *bench) {
	const perSecond = 50
	w := newHarness(t)
	market := simmarket.NewServer(simmarket.Options{Market: simmarket.NewMarket(1), RPS: perSecond, Latency: 100 * time.Millisecond, Now: time.Now})
	w.vars["BIRDEYE_BASE_URL"], w.vars["BIRDEYE_RPS"] = serve(t, market), strconv.Itoa(perSecond)
	_, stop := w.startWorkers(t, 4)
	plan := planOf(t, tokens(perSecond*(b.size.budgetSeconds+15)), all(60))
	run := newRun(t, plan)
	require.NoError(t, w.Launcher(quiet, time.Now).Launch(t.Context(), run, plan.Chunks, false))
	require.Eventually(t, func() bool { return market.Stats().Requests > 3*perSecond }, time.Minute, 10*time.Millisecond, "all four are at work")
	before, began := market.Stats(), time.Now()
	time.Sleep(time.Duration(b.size.budgetSeconds) * time.Second)
	after, took := market.Stats(), time.Since(began)
	used := float64(after.Requests-before.Requests) / (perSecond * took.Seconds())
	b.add(figure{Group: "budget", Name: "four workers on one budget of 50/s: used", Unit: "%", Goal: 96}, 100*used)
	b.add(figure{Group: "budget", Name: "answers that say too fast", Unit: "answers", AtMost: true}, float64(after.ByStatus[429])).Verdict = verdict(after.ByStatus[429] == 0)
	require.NoError(t, w.Ledger.Cancel(t.Context(), run.ID()))
	w.await(t, run)
	stop()
}

// measureMillion takes the largest run from its launch to its end, without workers: what it takes of Redis, of time, and of
// the process that launches and finishes it.
func measureMillion(t *testing.T, b *bench) {
	w := newHarness(t)
	plan := planTokens(t, b.size.million)
	peak := w.watchRedis(t)
	c := w.cycle(t, plan)
	name := "a run of " + number(float64(b.size.million)) + " chunks: "
	b.add(figure{Group: "million", Name: name + "launch", Unit: "s"}, c.launch.Seconds())
	b.add(figure{Group: "million", Name: name + "record", Unit: "s"}, c.record.Seconds())
	b.add(figure{Group: "million", Name: name + "finish", Unit: "s"}, c.finish.Seconds())
	b.add(figure{Group: "million", Name: name + "Redis", Unit: "MB"}, peak()/(1<<20))
	b.add(figure{Group: "million", Name: name + "the measuring process", Unit: "MB"}, ownPeak(t))
}

// measureRun fills one run of very many chunks of an hour each with two workers.
func measureRun(t *testing.T, b *bench) {
	w := newHarness(t)
	w.vars["BIRDEYE_BASE_URL"] = serve(t, newPages(begin, 60))
	workers, stop := w.startWorkers(t, 2, "--concurrency", "64")
	peak := w.watchRedis(t)
	_, took := w.fill(t, planOf(t, tokens(*runFlag), all(60)))
	name := "a run of " + number(float64(*runFlag)) + " chunks"
	b.add(figure{Group: "run", Name: name + " of an hour", Unit: "s"}, took.Seconds())
	b.add(figure{Group: "run", Name: name + ": Redis", Unit: "MB"}, peak()/(1<<20))
	b.add(figure{Group: "run", Name: name + ": a worker, the finisher among them", Unit: "MB"}, max(peakMemory(t, workers[0]), peakMemory(t, workers[1])))
	b.add(figure{Group: "run", Name: name + ": the launching process", Unit: "MB"}, ownPeak(t))
	stop()
}

func ownPeak(t *testing.T) float64 {
	t.Helper()
	kb, err := strconv.ParseFloat(strings.TrimSuffix(field("/proc/self/status", "VmHWM"), " kB"), 64)
	require.NoError(t, err)
	return kb / 1024
}

// watchRedis looks at Redis' memory until the returned function is called, which returns the most, in bytes.
func (w *harness) watchRedis(t *testing.T) (most func() float64) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var group errgroup.Group
	largest := 0.0
	group.Go(func() error {
		for ticker := time.Tick(time.Second); ; {
			info, err := w.Redis.InfoMap(ctx, "memory").Result()
			if errors.Is(err, context.Canceled) {
				return nil
			}
			used, parseErr := strconv.ParseFloat(info["Memory"]["used_memory"], 64)
			if err := errors.Join(err, parseErr); err != nil {
				return err
			}
			largest = max(largest, used)
			select {
			case <-ticker:
			case <-ctx.Done():
				return nil
			}
		}
	})
	return func() float64 { cancel(); require.NoError(t, group.Wait()); return largest }
}
