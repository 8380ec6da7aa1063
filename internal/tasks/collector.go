package tasks

import (
	"slices"

	"github.com/hibiken/asynq"
	"github.com/prometheus/client_golang/prometheus"
)

// Collector shows the depths of the queues, as every worker sees them: ask Prometheus for the max. asynq has an exporter
// of its own (x/metrics), whose gauges end in _total, which Prometheus' conventions forbid; this is the same inspector.
func (q *Queue) Collector() prometheus.Collector { return queueCollector{inspector: q.inspector} }

type queueCollector struct{ inspector *asynq.Inspector }

var (
	queueTasks = prometheus.NewDesc("quantbot_queue_tasks", "Tasks in the queue, by state.", []string{"queue", "state"}, nil)
	queueWait  = prometheus.NewDesc("quantbot_queue_latency_seconds", "For how long the oldest pending task has waited.", []string{"queue"}, nil)
	queuePause = prometheus.NewDesc("quantbot_queue_paused", "1 when somebody paused the queue, else 0.", []string{"queue"}, nil)
	queueRuns  = prometheus.NewDesc("quantbot_queue_executions_total", "Executions of tasks by all workers, by result.", []string{"queue", "result"}, nil)
	workers    = prometheus.NewDesc("quantbot_workers", "Worker processes that Redis has heard of within seconds.", nil, nil)
)

// Describe implements prometheus.Collector.
func (queueCollector) Describe(out chan<- *prometheus.Desc) {
	for _, desc := range []*prometheus.Desc{queueTasks, queueWait, queuePause, queueRuns, workers} {
		out <- desc
	}
}

// Collect implements prometheus.Collector. It costs one script per queue. When Redis does not answer, nothing is shown: the
// next question would only wait for it again.
func (c queueCollector) Collect(out chan<- prometheus.Metric) {
	known, err := c.inspector.Queues()
	if err != nil {
		return
	}
	for queue := range weights {
		info := &asynq.QueueInfo{Queue: queue} // nothing was ever enqueued
		if slices.Contains(known, queue) {
			if info, err = c.inspector.GetQueueInfo(queue); err != nil {
				return
			}
		}
		showQueue(info, out)
	}
	if servers, err := c.inspector.Servers(); err == nil {
		out <- prometheus.MustNewConstMetric(workers, prometheus.GaugeValue, float64(len(servers)))
	}
}

func showQueue(info *asynq.QueueInfo, out chan<- prometheus.Metric) {
	for state, n := range map[string]int{
		"pending": info.Pending, "active": info.Active, "scheduled": info.Scheduled, "retry": info.Retry, "archived": info.Archived,
		"completed": info.Completed,
	} {
		out <- prometheus.MustNewConstMetric(queueTasks, prometheus.GaugeValue, float64(n), info.Queue, state)
	}
	paused := 0.0
	if info.Paused {
		paused = 1
	}
	out <- prometheus.MustNewConstMetric(queueWait, prometheus.GaugeValue, info.Latency.Seconds(), info.Queue)
	out <- prometheus.MustNewConstMetric(queuePause, prometheus.GaugeValue, paused, info.Queue)
	out <- prometheus.MustNewConstMetric(queueRuns, prometheus.CounterValue, float64(info.ProcessedTotal-info.FailedTotal), info.Queue, "succeeded")
	out <- prometheus.MustNewConstMetric(queueRuns, prometheus.CounterValue, float64(info.FailedTotal), info.Queue, "failed")
}
