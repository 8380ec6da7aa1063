package metrics

import (
	"context"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"quantbot/internal/backfill"
)

// State reads what the stores say of all workers together. Every worker shows the same values: ask for the max of them.
type State struct {
	// Runs counts the runs by status, and Faulty those that ended within the last day and were not failed, but have many
	// failed chunks or rejected candles.
	Runs func(context.Context) (RunCounts, error)
	// Accounts counts the accounts of each source by what they are: ready, paused or parked.
	Accounts func(context.Context) ([]AccountCount, error)
	// SweptAt is when a sweep last succeeded; zero = never.
	SweptAt func(context.Context) (time.Time, error)
	// Leases is how many chunks this worker has in hand; nil = this is no worker.
	Leases func() int
	Now    func() time.Time
}

// RunCounts are numbers of runs.
type RunCounts struct {
	ByStatus map[backfill.RunStatus]int64
	Faulty   int64
}

// AccountCount is how many accounts of a source are in a state.
type AccountCount struct {
	Source, State string
	Count         int
}

// How long a value is kept, and how long a store may take to answer: a scrape must neither load the stores nor hang.
const (
	keepRuns     = time.Minute
	keepOthers   = 10 * time.Second
	collectLimit = 3 * time.Second
	// staleAfter is how long the last value is shown while its store does not answer.
	staleAfter = 5 * time.Minute
)

var (
	runsDesc = description("runs", "Runs by status.", "status")

	faultyDesc = description("faulty_runs",
		"Runs that ended within the last day, not as failed, with many failed chunks or rejected candles, or numbers that do not add up.")
	accountsDesc = description("source_accounts",
		"Accounts of market-data services by state; paused = asked too fast, parked = quota used up, waiting = the service does not answer.", "source", "state")
	sweptDesc = description("sweep_last_success_timestamp_seconds",
		"When redundant versions were last swept; 0 = never since Redis was set up.")
)

// Watch adds the state to the metrics.
func (m *Metrics) Watch(s State) {
	m.Register(
		newCached(m, "runs", keepRuns, s.Now, s.Runs, []*prometheus.Desc{runsDesc, faultyDesc}, showRuns),
		newCached(m, "accounts", keepOthers, s.Now, s.Accounts, []*prometheus.Desc{accountsDesc}, showAccounts),
		newCached(m, "sweep", keepOthers, s.Now, s.SweptAt, []*prometheus.Desc{sweptDesc}, showSweep),
	)
	if s.Leases == nil {
		return
	}
	m.Register(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Namespace: namespace, Name: "leases_held", Help: "Chunks that this worker has in hand.",
	}, func() float64 { return float64(s.Leases()) }))
}

var waitingDesc = description("waiting_seconds",
	"For how long a worker has waited for a store or source that refuses or does not answer, by why; 0 = it does not. The dashboard shows what it sees of all workers.", "on", "reason")

// WatchWaits adds what the process waits for to the metrics.
func (m *Metrics) WatchWaits(current func() []backfill.Wait, now func() time.Time) {
	m.Register(waitCollector{current, now})
}

type waitCollector struct {
	current func() []backfill.Wait
	now     func() time.Time
}

// Describe implements prometheus.Collector.
func (waitCollector) Describe(out chan<- *prometheus.Desc) { out <- waitingDesc }

// Collect implements prometheus.Collector. Each reason of the store is there as 0 while it is none; sources come and go.
func (c waitCollector) Collect(out chan<- prometheus.Metric) {
	type key struct {
		on     string
		reason backfill.WaitReason
	}
	seconds := make(map[key]float64)
	for _, reason := range backfill.StoreWaitReasons() {
		seconds[key{backfill.StoreName, reason}] = 0
	}
	for _, w := range c.current() {
		seconds[key{w.On, w.Reason}] = max(c.now().Sub(w.Since).Seconds(), 0)
	}
	for k, s := range seconds {
		out <- gauge(waitingDesc, s, k.on, string(k.reason))
	}
}

func showRuns(counts RunCounts, out chan<- prometheus.Metric) {
	for _, status := range backfill.RunStatuses() {
		out <- gauge(runsDesc, float64(counts.ByStatus[status]), string(status))
	}
	out <- gauge(faultyDesc, float64(counts.Faulty))
}

func showAccounts(counts []AccountCount, out chan<- prometheus.Metric) {
	for _, c := range counts {
		out <- gauge(accountsDesc, float64(c.Count), c.Source, c.State)
	}
}

func showSweep(at time.Time, out chan<- prometheus.Metric) {
	seconds := 0.0
	if !at.IsZero() {
		seconds = float64(at.Unix())
	}
	out <- gauge(sweptDesc, seconds)
}

func gauge(desc *prometheus.Desc, value float64, labels ...string) prometheus.Metric {
	return prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, value, labels...)
}

// cached shows values that are read from a store, at most once per keep.
type cached[T any] struct {
	keep     time.Duration
	now      func() time.Time
	read     func(context.Context) (T, error)
	descs    []*prometheus.Desc
	show     func(T, chan<- prometheus.Metric)
	failures prometheus.Counter

	mu     sync.Mutex
	value  T
	asked  time.Time
	readAt time.Time
}

func newCached[T any](m *Metrics, name string, keep time.Duration, now func() time.Time, read func(context.Context) (T, error),
	descs []*prometheus.Desc, show func(T, chan<- prometheus.Metric),
) *cached[T] {
	return &cached[T]{keep: keep, now: now, read: read, descs: descs, show: show, failures: m.collectFailures.WithLabelValues(name)}
}

// Describe implements prometheus.Collector.
func (c *cached[T]) Describe(out chan<- *prometheus.Desc) {
	for _, desc := range c.descs {
		out <- desc
	}
}

// Collect implements prometheus.Collector. While the store does not answer, the last value is shown for a while, and none
// after that: an old number must not pass for the present one.
func (c *cached[T]) Collect(out chan<- prometheus.Metric) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now := c.now(); c.asked.IsZero() || now.Sub(c.asked) >= c.keep {
		c.asked = now
		ctx, cancel := context.WithTimeout(context.Background(), collectLimit)
		defer cancel()
		value, err := c.read(ctx)
		if err != nil {
			c.failures.Inc()
		} else {
			c.value, c.readAt = value, now
		}
	}
	if !c.readAt.IsZero() && c.now().Sub(c.readAt) <= staleAfter {
		c.show(c.value, out)
	}
}
