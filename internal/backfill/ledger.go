package backfill

import (
	"context"
	"time"

	"github.com/google/uuid"
)

// The live ledger of runs, as each step needs it. The package ledger implements all of these over Redis.
//
// A run's phase moves planning → running → finishing → finished; a retry moves it back to planning with the next
// attempt. Every write names the epoch that its process was given: whoever takes a run over raises the epoch, and writes
// of the older one answer ErrStale.

// Phase is how far an attempt has come.
type Phase string

// The phases of an attempt.
const (
	// PhasePlanning: the enqueuer stores the plan and enqueues tasks; its heartbeat shows that it lives.
	PhasePlanning Phase = "planning"
	// PhaseRunning: the plan is sealed; when nothing is pending any more, the attempt can be finished.
	PhaseRunning Phase = "running"
	// PhaseFinishing: outcomes are frozen and being added up.
	PhaseFinishing Phase = "finishing"
	// PhaseFinished: the result is in the ledger; the run stays active until the history has it too.
	PhaseFinished Phase = "finished"
)

// LedgerState is the ledger's view of a run.
type LedgerState struct {
	Run       Run
	Phase     Phase
	Cancelled bool
	// AttemptChunks is how many chunks this attempt has; it equals Run.PlannedChunks in the first.
	AttemptChunks int
	Epoch         int64
	// HeartbeatAge is how long ago, by Redis' own clock, the planning process last showed that it lives.
	HeartbeatAge time.Duration
	Pending      int
	Progress     Progress
	// HistoryStale says that the history lacks the run's start or its planned chunks (R7).
	HistoryStale bool
	// Halted says why when the rejected candles or the credits passed the run's limit; the run is Cancelled then.
	Halted string
	// Waits are what workers wait for with the run's chunks, the longest first.
	Waits []Wait
	// Result is set from PhaseFinished on.
	Result *RunRecord
}

// Progress counts the outcomes of an attempt while it runs, for people to watch. The run's final stats are added up from
// the outcomes themselves, never from these.
type Progress struct {
	Succeeded int64
	Failed    int64
	Cancelled int64
	Fetched   int64
	Inserted  int64
	Rejected  int64
}

// Done is how many chunks have an outcome.
func (p Progress) Done() int64 { return p.Succeeded + p.Failed + p.Cancelled }

// LaunchLedger is what Launch needs.
type LaunchLedger interface {
	// Open creates the run in PhasePlanning, adds it to the active runs and returns its epoch. A *RefusedError
	// says that a run with the same input hash is active; force opens the run all the same.
	Open(ctx context.Context, run Run, force bool) (epoch int64, err error)
	// Heartbeat shows that the planning process lives.
	Heartbeat(ctx context.Context, runID uuid.UUID, epoch int64) error
	// StorePlan adds chunks to the plan and marks those without an outcome in this attempt as pending. Repeating it is
	// harmless.
	StorePlan(ctx context.Context, runID uuid.UUID, epoch int64, chunks []Chunk) error
	// Rebuild creates a lost run again in PhasePlanning under a new epoch. It returns ErrFinished if the run is there.
	Rebuild(ctx context.Context, run Run) (epoch int64, err error)
	// Seal ends PhasePlanning. finish is true when nothing is pending.
	Seal(ctx context.Context, runID uuid.UUID, epoch int64) (finish bool, err error)
	// SetHistoryStale remembers whether the history lacks the run's start or plan.
	SetHistoryStale(ctx context.Context, runID uuid.UUID, stale bool) error
}

// LeaseTime is for how long a worker has a chunk without renewing, and LeaseRenewal how often it renews: four missed
// renewals cost it the chunk. Both are by Redis' clock, so clocks of hosts do not matter.
const (
	LeaseTime    = 10 * time.Second
	LeaseRenewal = 2 * time.Second
)

// Execution is one take-up of a chunk by a worker. Its number is what it shows to keep the chunk: whoever takes the chunk
// up after it has a higher one.
type Execution struct {
	Task   Task
	Epoch  int64
	Number int
}

// Admission is what the ledger returns to a worker that takes up a chunk.
type Admission struct {
	Verdict AdmissionVerdict
	Run     Run
	Epoch   int64
	// Executions is how often the chunk was taken up in this attempt, this time included.
	Executions int
	// Crashes is how many earlier executions neither recorded an outcome nor handed the chunk back.
	Crashes int
	// Unanswered is how many earlier executions got no answer from the source.
	Unanswered int
	// Spent is what earlier executions used in this attempt and handed the chunk back after.
	Spent Cost
	// Rebuilt says that the attempt was rebuilt after a loss: the counts began anew, and the history may have a success
	// of the chunk that the ledger does not.
	Rebuilt bool
}

// AdmissionVerdict says what a worker should do with a chunk.
type AdmissionVerdict int

// The verdicts.
const (
	// Proceed: fetch it.
	Proceed AdmissionVerdict = iota
	// AlreadyDone: it has an outcome, or its attempt is over: acknowledge the task, fetch nothing.
	AlreadyDone
	// RunCancelled: record it as cancelled, fetch nothing.
	RunCancelled
	// RunMissing: the ledger lost the run: try again later, the reconciler rebuilds it from the history.
	RunMissing
	// Held: another execution has the chunk and shows that it lives: look again later.
	Held
)

// Recorded is what the ledger returns to a worker that recorded an outcome.
type Recorded struct {
	// Kept is false when an outcome of the same or a higher rank was there already, or the attempt is over (the success
	// then went to the late list).
	Kept bool
	// Finish is true when nothing is pending: the worker that hears it enqueues the finish task.
	Finish bool
	// Halted is true for the one whose outcome passed a limit of the run: the share of rejected candles, or the credits.
	Halted bool
}

// FillLedger is what a worker needs.
type FillLedger interface {
	// Admit counts the execution, leases the chunk to it and returns whether to go on.
	Admit(ctx context.Context, task Task) (Admission, error)
	// StillWanted reports, just before the insert, whether the attempt is still going on, not cancelled, and the chunk still
	// this execution's.
	StillWanted(ctx context.Context, e Execution) (bool, error)
	// HandBack notes an orderly end without an outcome, and what the execution spent, and returns how often the chunk met this
	// class in this attempt.
	HandBack(ctx context.Context, e Execution, class Class, spent Cost) (count int, err error)
	// Record puts the outcome by compare-and-set. ErrStale says that the run was rebuilt meanwhile; ErrUnknownRun that
	// the ledger lost it.
	Record(ctx context.Context, task Task, epoch int64, outcome Outcome) (Recorded, error)
}

// LeaseLedger is what Leases needs.
type LeaseLedger interface {
	// Renew keeps the leases of executions that are running and returns those that are no longer wanted.
	Renew(ctx context.Context, executions []Execution) (lost []Execution, err error)
}

// WaitLedger is what Waits needs.
type WaitLedger interface {
	// ShowWaits shows what a worker waits for with the chunks of a run, or with none of them (uuid.Nil), in place of what it
	// showed before. What is not shown again goes by itself.
	ShowWaits(ctx context.Context, runID uuid.UUID, worker string, now time.Time, waits []Wait) error
}

// FinishLedger is what Finish needs.
type FinishLedger interface {
	// State returns the ledger's view of the run; ErrUnknownRun when it has none.
	State(ctx context.Context, runID uuid.UUID) (LedgerState, error)
	// Freeze moves a sealed attempt without pending chunks to PhaseFinishing, after which its outcomes do not change.
	// It returns nil when it is there already, ErrFinished when it is past, ErrNotDone when chunks are pending.
	Freeze(ctx context.Context, runID uuid.UUID, attempt int) error
	// Outcomes calls yield for each outcome of one attempt; order is undefined, each chunk comes once.
	Outcomes(ctx context.Context, runID uuid.UUID, attempt int, yield func(Outcome) error) error
	// Settle stores the result and moves to PhaseFinished, once per attempt: ErrFinished when it is there. It frees the
	// input hash for another run.
	Settle(ctx context.Context, runID uuid.UUID, result RunRecord) error
	// Archive takes the run off the active ones when the history has everything of this attempt, and lets its keys expire.
	// It does nothing when a newer attempt has begun.
	Archive(ctx context.Context, runID uuid.UUID, attempt int) error
}

// Duty is what one process at a time does for all; the words are in the keys of leases.
type Duty string

// The duties.
const (
	// DutyReconcile repairs runs.
	DutyReconcile Duty = "reconciler"
	// DutyPresence shows in the history that the deployment's Redis is in use.
	DutyPresence Duty = "deployment-sign"
	// DutyAlerts delivers alerts.
	DutyAlerts Duty = "alerts"
)

// DutyLedger gives out duties.
type DutyLedger interface {
	// Lease gives one holder at a time the right to the duty until the time is over; its holder may renew it. A lease saves
	// work: two that do the same duty must do no harm.
	Lease(ctx context.Context, duty Duty, holder string, ttl time.Duration) (held bool, err error)
}

// ReconcileLedger is what the reconciler needs beyond the other views.
type ReconcileLedger interface {
	DutyLedger
	// ReleaseLease gives the lease back early.
	ReleaseLease(ctx context.Context, duty Duty, holder string) error
	// ActiveRuns lists the runs that are not archived.
	ActiveRuns(ctx context.Context) ([]uuid.UUID, error)
	// Forget takes a run that has no state off the active ones.
	Forget(ctx context.Context, runID uuid.UUID) error
	// TakeOver raises the epoch and shows a first heartbeat: the caller is now the planning process.
	TakeOver(ctx context.Context, runID uuid.UUID) (epoch int64, err error)
	// Abandon ends an attempt in PhasePlanning whose plan is not whole, with the result as given: none of its tasks was
	// enqueued, so there is nothing to add up. ErrFinished when it has a result; an error when the plan is whole by now.
	Abandon(ctx context.Context, runID uuid.UUID, epoch int64, result RunRecord) error
	// RestoreOutcomes puts successes that the history has into the current or an earlier attempt. Repeating is harmless.
	RestoreOutcomes(ctx context.Context, runID uuid.UUID, epoch int64, attempt int, outcomes []Outcome) error
	// PendingPage returns some pending chunks, and the cursor to go on with; a cursor of 0 ends the scan.
	PendingPage(ctx context.Context, runID uuid.UUID, attempt int, cursor uint64) (chunks []PendingChunk, next uint64, err error)
	// Expired lists some pending chunks whose lease ran out.
	Expired(ctx context.Context, runID uuid.UUID, attempt int) ([]ExpiredLease, error)
	// PlannedChunk returns a chunk of the plan.
	PlannedChunk(ctx context.Context, task Task) (Chunk, error)
	// Regenerate lets a pending chunk that nobody is filling have a new task, of the next generation. ok is false when the
	// chunk has an outcome, a live lease or a newer task, or its attempt is over.
	Regenerate(ctx context.Context, task Task, generation int) (next int, ok bool, err error)
	// Count adds to what reconcilers did, for people to see.
	Count(ctx context.Context, runID uuid.UUID, action RepairAction, n int) error
	// PlannedChunks returns how many chunks of this attempt the ledger's plan holds.
	PlannedChunks(ctx context.Context, runID uuid.UUID, attempt int) (int, error)
	// Plan calls yield for each batch of chunks of this attempt's plan.
	Plan(ctx context.Context, runID uuid.UUID, attempt int, yield func([]Chunk) error) error
}

// PendingChunk is a chunk without an outcome.
type PendingChunk struct {
	Chunk Chunk
	// Generation counts the tasks that the chunk had before its present one.
	Generation int
	// Held says that a living execution has it.
	Held bool
}

// ExpiredLease is a chunk that an execution stopped showing to be alive.
type ExpiredLease struct {
	Task       Task
	Execution  int
	Generation int
}

// RepairAction is something that a reconciler does; the words appear in logs and counters.
type RepairAction string

// The actions.
const (
	RepairOrphan   RepairAction = "orphan_reassigned"    // a worker died or stands still: its chunk gets a new task
	RepairLostTask RepairAction = "lost_task_enqueued"   // a task was deleted or forgotten: the chunk gets a new one
	RepairArchived RepairAction = "archived_task_failed" // the queue gave the task up: the chunk fails
	RepairResumed  RepairAction = "launch_resumed"       // the enqueuer died: its plan goes on
	RepairAbandon  RepairAction = "launch_abandoned"     // the enqueuer died before its plan was whole: the run fails
	RepairFinished RepairAction = "run_finished"         // nobody finished the attempt
	RepairRebuilt  RepairAction = "run_rebuilt"          // the ledger lost the run
	RepairCancel   RepairAction = "cancel_completed"     // chunks of a cancelled run were left pending
	RepairHistory  RepairAction = "history_caught_up"    // the history had missed the start or the plan
)

// RepairActions are all of them.
func RepairActions() []RepairAction {
	return []RepairAction{
		RepairOrphan, RepairLostTask, RepairArchived, RepairResumed, RepairAbandon, RepairFinished, RepairRebuilt, RepairCancel, RepairHistory,
	}
}
