package tasks

import (
	"fmt"
	"time"

	"github.com/hibiken/asynq"

	"quantbot/internal/backfill"
)

// WorkerProcess is a worker that has shown lately that it lives.
type WorkerProcess struct {
	Host        string    `json:"host"`
	PID         int       `json:"pid"`
	Status      string    `json:"status"` // active or stopped
	Started     time.Time `json:"started"`
	Concurrency int       `json:"concurrency"`
	// Tasks are those that it runs now.
	Tasks []RunningTask `json:"tasks"`
}

// RunningTask is a task in a worker's hands.
type RunningTask struct {
	ID      string    `json:"id"`
	Type    string    `json:"type"`
	Queue   string    `json:"queue"`
	Started time.Time `json:"started"`
}

// WorkerProcesses lists the workers that asynq has heard of lately.
func (q *Queue) WorkerProcesses() ([]WorkerProcess, error) {
	servers, err := q.inspector.Servers()
	if err != nil {
		return nil, backfill.WithClass(backfill.ClassStore, fmt.Errorf("list workers: %w", err))
	}
	workers := make([]WorkerProcess, len(servers))
	for i, s := range servers {
		workers[i] = WorkerProcess{Host: s.Host, PID: s.PID, Status: s.Status, Started: s.Started, Concurrency: s.Concurrency, Tasks: runningTasks(s)}
	}
	return workers, nil
}

func runningTasks(s *asynq.ServerInfo) []RunningTask {
	running := make([]RunningTask, len(s.ActiveWorkers))
	for i, w := range s.ActiveWorkers {
		running[i] = RunningTask{ID: w.TaskID, Type: w.TaskType, Queue: w.Queue, Started: w.Started}
	}
	return running
}

// QueueDepth is how many tasks a queue holds, by state.
type QueueDepth struct {
	Name      string        `json:"name"`
	Paused    bool          `json:"paused"`
	Latency   time.Duration `json:"latency_ns"` // how long the oldest pending task has waited
	Pending   int           `json:"pending"`
	Active    int           `json:"active"`
	Scheduled int           `json:"scheduled"`
	Retry     int           `json:"retry"`
	Archived  int           `json:"archived"`
	// Processed and Failed count today's tasks, in UTC.
	Processed int `json:"processed_today"`
	Failed    int `json:"failed_today"`
}

// QueueDepths lists the queues that asynq knows.
func (q *Queue) QueueDepths() ([]QueueDepth, error) {
	names, err := q.inspector.Queues()
	if err != nil {
		return nil, backfill.WithClass(backfill.ClassStore, fmt.Errorf("list queues: %w", err))
	}
	depths := make([]QueueDepth, 0, len(names))
	for _, name := range names {
		info, err := q.inspector.GetQueueInfo(name)
		if err != nil {
			return nil, backfill.WithClass(backfill.ClassStore, fmt.Errorf("look at queue %s: %w", name, err))
		}
		depths = append(depths, QueueDepth{
			Name: name, Paused: info.Paused, Latency: info.Latency, Pending: info.Pending, Active: info.Active, Scheduled: info.Scheduled,
			Retry: info.Retry, Archived: info.Archived, Processed: info.Processed, Failed: info.Failed,
		})
	}
	return depths, nil
}
