package backfilltest

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"

	"quantbot/internal/backfill"
)

// AnyLedger is all that the heart asks of a ledger, and the repairs that it counts.
type AnyLedger interface {
	backfill.LaunchLedger
	backfill.FillLedger
	backfill.LeaseLedger
	backfill.FinishLedger
	backfill.ReconcileLedger
	backfill.CancelLedger
	backfill.RetryLedger
	// Repairs returns how often reconcilers did what for the run.
	Repairs(ctx context.Context, runID uuid.UUID) (map[backfill.RepairAction]int64, error)
}

var _ AnyLedger = (*Ledger)(nil)

// Ledger is a ledger in memory. Each call is one step.
type Ledger struct {
	failures
	now func() time.Time

	mu     sync.Mutex
	epoch  int64 // the last that was given out, which a loss does not forget
	runs   map[uuid.UUID]*ledgerRun
	active map[uuid.UUID]bool
	inputs map[string]inputClaim
	duties map[backfill.Duty]dutyLease
}

// inputClaim is the hold of one call of Open on an input.
type inputClaim struct {
	runID uuid.UUID
	owner int64 // the epoch that the call gave out
}

type dutyLease struct {
	holder string
	until  time.Time
}

// ledgerRun is what the ledger has of a run. What is of one attempt is in attempts.
type ledgerRun struct {
	run          backfill.Run
	phase        backfill.Phase
	cancelled    bool
	historyStale bool
	rebuilt      bool
	halted       string
	epoch        int64
	createdEpoch int64
	heartbeat    time.Time
	result       *backfill.RunRecord
	plan         map[backfill.ChunkID]backfill.Chunk
	attempts     map[int]*ledgerAttempt
	late         map[backfill.ChunkID]backfill.Outcome
	repairs      map[backfill.RepairAction]int64
}

type ledgerAttempt struct {
	pending  map[backfill.ChunkID]bool
	outcomes map[backfill.ChunkID]backfill.Outcome
	tries    map[backfill.ChunkID]*chunkTries
	leases   map[backfill.ChunkID]time.Time
	progress backfill.Progress
	credits  int64
}

// chunkTries is what the ledger counts of a chunk.
type chunkTries struct {
	executions, open, generation int
	classes                      map[backfill.Class]int
	spent                        backfill.Cost
}

// NewLedger returns an empty ledger by the clock.
func NewLedger(now func() time.Time) *Ledger {
	l := &Ledger{now: now}
	l.Lose()
	return l
}

// Lose empties the ledger, as a Redis that is flushed.
func (l *Ledger) Lose() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.runs, l.active = make(map[uuid.UUID]*ledgerRun), make(map[uuid.UUID]bool)
	l.inputs, l.duties = make(map[string]inputClaim), make(map[backfill.Duty]dutyLease)
}

// begin fails when the test wants it, and takes the lock, which end releases.
func (l *Ledger) begin(method string) (end func(), err error) {
	if err := l.fail(method); err != nil {
		return nil, err
	}
	l.mu.Lock()
	return l.mu.Unlock, nil
}

// of is begin for the calls about one run that is there.
func (l *Ledger) of(method string, runID uuid.UUID) (r *ledgerRun, end func(), err error) {
	end, err = l.begin(method)
	if err != nil {
		return nil, nil, err
	}
	r, ok := l.runs[runID]
	if !ok {
		end()
		return nil, nil, backfill.ErrUnknownRun
	}
	return r, end, nil
}

// planner is of for the calls of the planning process.
func (l *Ledger) planner(method string, runID uuid.UUID, epoch int64) (r *ledgerRun, end func(), err error) {
	r, end, err = l.of(method, runID)
	if err == nil && r.epoch != epoch {
		end()
		return nil, nil, backfill.ErrStale
	}
	return r, end, err
}

func (l *Ledger) nextEpoch() int64 {
	l.epoch = max(l.epoch+1, l.now().UnixMicro())
	return l.epoch
}

// attempt returns what there is of an attempt, made when nothing is.
func (r *ledgerRun) attempt(n int) *ledgerAttempt {
	if r.attempts[n] == nil {
		r.attempts[n] = &ledgerAttempt{
			pending: make(map[backfill.ChunkID]bool), outcomes: make(map[backfill.ChunkID]backfill.Outcome),
			tries: make(map[backfill.ChunkID]*chunkTries), leases: make(map[backfill.ChunkID]time.Time),
		}
	}
	return r.attempts[n]
}

func (r *ledgerRun) current() *ledgerAttempt { return r.attempt(r.run.Attempt) }

// finished reports whether outcomes of the attempt no longer change.
func (r *ledgerRun) finished(attempt int) bool {
	return attempt != r.run.Attempt || r.phase == backfill.PhaseFinishing || r.phase == backfill.PhaseFinished
}

func (r *ledgerRun) whole() bool { return r.current().size() == r.run.AttemptChunks() }

func (a *ledgerAttempt) size() int { return len(a.pending) + len(a.outcomes) }

func (a *ledgerAttempt) of(id backfill.ChunkID) *chunkTries {
	if a.tries[id] == nil {
		a.tries[id] = &chunkTries{classes: make(map[backfill.Class]int)}
	}
	return a.tries[id]
}

// put counts and keeps an outcome in place of one of a lower rank.
func (a *ledgerAttempt) put(o backfill.Outcome) {
	if before, ok := a.outcomes[o.ChunkID]; ok {
		a.count(before, -1)
	}
	a.count(o, 1)
	a.outcomes[o.ChunkID] = o
	delete(a.pending, o.ChunkID)
	delete(a.leases, o.ChunkID)
	if tries := a.tries[o.ChunkID]; tries != nil {
		tries.executions, tries.open, tries.generation = 0, 0, 0
	}
}

func (a *ledgerAttempt) count(o backfill.Outcome, n int64) {
	p := &a.progress
	switch o.Status {
	case backfill.OutcomeSuccess:
		p.Succeeded += n
	case backfill.OutcomeFailed:
		p.Failed += n
	case backfill.OutcomeCancelled:
		p.Cancelled += n
	}
	p.Fetched += n * o.Stats.Fetched
	p.Inserted += n * o.Stats.Inserted
	p.Rejected += n * o.Stats.Rejected
}

// sorted returns the keys in order, so that tests repeat.
func sorted[V any](m map[backfill.ChunkID]V) []backfill.ChunkID { return slices.Sorted(maps.Keys(m)) }

// ExpireLeases makes the leases of a run's chunks run out, as time would.
func (l *Ledger) ExpireLeases(runID uuid.UUID) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, a := range l.runs[runID].attempts {
		for id := range a.leases {
			a.leases[id] = time.Time{}
		}
	}
}

// StaleHeartbeat makes the planning process of a run one that was last seen a minute ago.
func (l *Ledger) StaleHeartbeat(runID uuid.UUID) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.runs[runID].heartbeat = l.now().Add(-time.Minute)
}

// Empty reports whether nothing is left of any run.
func (l *Ledger) Empty() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.runs) == 0 && len(l.active) == 0
}

// existsError says that the run is in the ledger and goes on.
type existsError struct {
	attempt int
	phase   backfill.Phase
}

// Error names the attempt.
func (e *existsError) Error() string {
	return fmt.Sprintf("the run exists already: attempt %d is %s", e.attempt, e.phase)
}
