package metrics

import (
	"runtime"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"quantbot/internal/backfill"
)

// Metrics are the counters of one process. It is safe for concurrent use.
type Metrics struct {
	registry *prometheus.Registry

	candles         *prometheus.CounterVec
	chunks          *prometheus.CounterVec
	chunkDuration   *prometheus.HistogramVec
	requests        *prometheus.CounterVec
	requestDuration *prometheus.HistogramVec
	budgetWait      *prometheus.HistogramVec
	budgetPauses    *prometheus.CounterVec
	budgetParks     *prometheus.CounterVec
	insertDuration  prometheus.Histogram
	insertRows      prometheus.Histogram
	insertFailures  prometheus.Counter
	repairs         *prometheus.CounterVec
	alerts          *prometheus.CounterVec
	collectFailures *prometheus.CounterVec
}

// New returns the metrics of a process built from this version and commit, all at zero, in a registry of their own.
func New(version, commit string) *Metrics {
	m := &Metrics{
		registry: prometheus.NewRegistry(),
		candles: counters("candles_total",
			"Candles of chunks that ended in success, by source and what became of them.", "source", "outcome"),
		chunks: counters("chunks_total",
			"Chunks whose outcome this worker recorded, by source and outcome.", "source", "outcome"),
		chunkDuration: histograms("chunk_duration_seconds",
			"Time from taking up a chunk to the end of its insert, waits for the budget included.", spread(0.05, 2, 14), "source"),
		requests: counters("source_requests_total",
			"Requests to market-data services, by source and class of the status; none = no whole answer.", "source", "status"),
		requestDuration: histograms("source_request_duration_seconds",
			"Time from sending a request to the end of its answer.", spread(0.01, 2, 12), "source"),
		budgetWait: histograms("budget_wait_seconds",
			"Time that a request waited for the shared rate budget.", spread(0.001, 4, 10), "source"),
		budgetPauses: counters("budget_pauses_total",
			"How often a service rejected requests because they came too fast, and all workers paused.", "source"),
		budgetParks: counters("budget_parks_total",
			"How often a service rejected a request because its quota is used up, and the account was parked.", "source"),
		insertDuration: histogram("insert_duration_seconds",
			"Time of one insert of candles into ClickHouse.", spread(0.002, 2, 14)),
		insertRows: histogram("insert_rows",
			"Candles in one insert into ClickHouse.", spread(1, 4, 10)),
		insertFailures: counter("insert_failures_total",
			"Inserts of candles that ClickHouse did not take; the candles are kept in hand and tried again."),
		repairs: counters("reconciler_actions_total",
			"What this worker's reconciler repaired, by action.", "action"),
		alerts: counters("alert_deliveries_total",
			"Tries to deliver an alert to the webhook, by kind and result.", "kind", "result"),
		collectFailures: counters("collect_failures_total",
			"How often a value that is read from a store when scraped could not be read.", "collector"),
	}
	m.Register(
		m.candles, m.chunks, m.chunkDuration, m.requests, m.requestDuration, m.budgetWait, m.budgetPauses, m.budgetParks,
		m.insertDuration, m.insertRows, m.insertFailures, m.repairs, m.alerts, m.collectFailures, buildInfo(version, commit),
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	for _, action := range backfill.RepairActions() {
		m.repairs.WithLabelValues(string(action)).Add(0) // a rate needs to have seen the zero
	}
	return m
}

// Expect shows the rare events of a source as 0 before the first of them: a rate needs to have seen the zero.
func (m *Metrics) Expect(source string) {
	m.budgetPauses.WithLabelValues(source).Add(0)
	m.budgetParks.WithLabelValues(source).Add(0)
}

// ExpectAlerts does the same for alerts of a kind.
func (m *Metrics) ExpectAlerts(kind string) {
	for _, result := range []string{"delivered", "failed"} {
		m.alerts.WithLabelValues(kind, result).Add(0)
	}
}

// Registry is where all of it is gathered.
func (m *Metrics) Registry() *prometheus.Registry { return m.registry }

// Register adds collectors. Two of the same name are a bug and panic.
func (m *Metrics) Register(more ...prometheus.Collector) { m.registry.MustRegister(more...) }

// Recorded counts the outcome of a chunk.
func (m *Metrics) Recorded(o backfill.Outcome) {
	m.chunks.WithLabelValues(o.Source, string(o.Status)).Inc()
	if o.Status != backfill.OutcomeSuccess {
		return
	}
	m.chunkDuration.WithLabelValues(o.Source).Observe(o.EndedAt.Sub(o.StartedAt).Seconds())
	for outcome, n := range map[string]int64{
		"inserted": o.Stats.Inserted, "rejected": o.Stats.Rejected, "deduplicated": o.Stats.Deduplicated, "dropped": o.Stats.Dropped,
	} {
		m.candles.WithLabelValues(o.Source, outcome).Add(float64(n))
	}
}

// Requested counts a request to a source; status 0 = no whole answer.
func (m *Metrics) Requested(source string, status int, took time.Duration) {
	class := "none"
	if status >= 100 && status <= 599 {
		class = strconv.Itoa(status/100) + "xx"
	}
	m.requests.WithLabelValues(source, class).Inc()
	m.requestDuration.WithLabelValues(source).Observe(took.Seconds())
}

// Waiting begins a wait for the budget of a source; the returned function ends it.
func (m *Metrics) Waiting(source string) (done func()) {
	timer := prometheus.NewTimer(m.budgetWait.WithLabelValues(source))
	return func() { timer.ObserveDuration() }
}

// Paused counts that a service was sent too many requests.
func (m *Metrics) Paused(source string) { m.budgetPauses.WithLabelValues(source).Inc() }

// Parked counts that the quota of an account is used up.
func (m *Metrics) Parked(source string) { m.budgetParks.WithLabelValues(source).Inc() }

// Inserting begins an insert of so many candles; the returned function ends it.
func (m *Metrics) Inserting(rows int) (done func(error)) {
	timer := prometheus.NewTimer(m.insertDuration)
	return func(err error) {
		timer.ObserveDuration()
		if err != nil {
			m.insertFailures.Inc()
			return
		}
		m.insertRows.Observe(float64(rows))
	}
}

// Repaired counts what a reconciler did.
func (m *Metrics) Repaired(action backfill.RepairAction, n int) {
	m.repairs.WithLabelValues(string(action)).Add(float64(n))
}

// Alerted counts a try to deliver an alert.
func (m *Metrics) Alerted(kind string, delivered bool) {
	result := "failed"
	if delivered {
		result = "delivered"
	}
	m.alerts.WithLabelValues(kind, result).Inc()
}

func buildInfo(version, commit string) prometheus.Collector {
	info := prometheus.NewGauge(prometheus.GaugeOpts{
		Namespace: namespace, Name: "build_info", Help: "Always 1; the labels say which code this is.",
		ConstLabels: prometheus.Labels{"version": version, "commit": commit, "go_version": runtime.Version()},
	})
	info.Set(1)
	return info
}
