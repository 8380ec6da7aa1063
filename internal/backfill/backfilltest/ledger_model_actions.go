package backfilltest

import (
	"maps"
	"slices"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"quantbot/internal/backfill"
)

// Each action does one thing to the ledger, checks the answer against the model, and changes the model likewise.

func (m *model) open(t *rapid.T) {
	epoch, err := m.ledger.Open(m.ctx, m.run, false)
	require.NoError(t, err)
	m.begin(t, epoch, false)
}

func (m *model) store(t *rapid.T) {
	some := slices.DeleteFunc(m.retried(), func(backfill.Chunk) bool { return rare(t, "leave out") })
	m.storeChunks(t, m.drawEpoch(t), some)
}

func (m *model) storeChunks(t *rapid.T, epoch int64, some []backfill.Chunk) {
	err := m.ledger.StorePlan(m.ctx, m.run.ID(), epoch, some)
	if len(some) == 0 && m.there { // nothing reaches the script
		require.NoError(t, err)
		return
	}
	if want := m.plannerError(epoch); want != nil {
		require.ErrorIs(t, err, want)
		return
	}
	unplanned := slices.ContainsFunc(some, func(c backfill.Chunk) bool { return !m.inAttempt(c.ID) })
	if m.phase != backfill.PhasePlanning && unplanned {
		require.ErrorContains(t, err, "is sealed without chunk")
		return
	}
	require.NoError(t, err)
	for _, c := range some {
		if !m.inAttempt(c.ID) {
			m.pending[c.ID] = true
		}
	}
}

// retried lists the chunks that the current attempt is about.
func (m *model) retried() []backfill.Chunk {
	if m.run.Attempt == 1 {
		return slices.Clone(m.chunks)
	}
	return slices.Clone(m.chunks[:m.run.RetriedChunks])
}

func (m *model) seal(t *rapid.T) { m.sealUnder(t, m.drawEpoch(t)) }

func (m *model) sealUnder(t *rapid.T, epoch int64) {
	finish, err := m.ledger.Seal(m.ctx, m.run.ID(), epoch)
	if want := m.plannerError(epoch); want != nil {
		require.ErrorIs(t, err, want)
		return
	}
	if m.phase == backfill.PhasePlanning && !m.whole() {
		require.ErrorContains(t, err, "the plan has")
		return
	}
	require.NoError(t, err)
	if m.phase == backfill.PhasePlanning {
		m.phase = backfill.PhaseRunning
	}
	require.Equal(t, m.phase == backfill.PhaseRunning && len(m.pending) == 0, finish)
}

func (m *model) admit(t *rapid.T) {
	task := m.drawTask(t)
	got, err := m.ledger.Admit(m.ctx, task)
	require.NoError(t, err)
	var want backfill.Admission
	switch {
	case !m.there:
		want.Verdict = backfill.RunMissing
	case task.Attempt != m.run.Attempt || m.frozen():
		want.Verdict = backfill.AlreadyDone
	case !m.inAttempt(task.ChunkID) && m.phase == backfill.PhasePlanning:
		want.Verdict = backfill.RunMissing
	case !m.pending[task.ChunkID]:
		want.Verdict = backfill.AlreadyDone
	case m.cancelled:
		want = backfill.Admission{
			Verdict: backfill.RunCancelled, Run: m.run, Epoch: m.epoch(), Executions: m.tries[task.ChunkID].runs, Rebuilt: m.rebuilt,
		}
	case m.leased[task.ChunkID]:
		want.Verdict = backfill.Held
	default:
		m.leased[task.ChunkID] = true
		n := m.tries[task.ChunkID]
		want = backfill.Admission{
			Verdict: backfill.Proceed, Run: m.run, Epoch: m.epoch(), Executions: n.runs + 1, Crashes: n.open, Unanswered: n.failures, Rebuilt: m.rebuilt,
		}
		n.runs++
		n.open++
		m.tries[task.ChunkID] = n
	}
	require.Empty(t, cmp.Diff(want, got))
}

// record puts an outcome, often one that is refused.
func (m *model) record(t *rapid.T) { m.put(t, m.drawTask(t), m.drawEpoch(t)) }

// advance does what a run without trouble would do next.
func (m *model) advance(t *rapid.T) {
	switch {
	case !m.there:
		m.rebuild(t)
	case m.phase == backfill.PhaseFinished:
		m.retry(t)
	case m.phase == backfill.PhaseFinishing:
		m.settleAttempt(t, m.run.Attempt)
	case m.phase == backfill.PhasePlanning && !m.whole():
		m.storeChunks(t, m.epoch(), m.retried())
	case m.phase == backfill.PhasePlanning:
		m.sealUnder(t, m.epoch())
	case len(m.pending) == 0:
		m.freezeAttempt(t, m.run.Attempt)
	default:
		for _, c := range m.chunks {
			if m.pending[c.ID] {
				m.put(t, backfill.Task{RunID: m.run.ID(), Attempt: m.run.Attempt, ChunkID: c.ID}, m.epoch())
			}
		}
	}
}

func (m *model) put(t *rapid.T, task backfill.Task, epoch int64) {
	status := rapid.SampledFrom([]backfill.OutcomeStatus{
		backfill.OutcomeSuccess, backfill.OutcomeFailed, backfill.OutcomeCancelled,
	}).Draw(t, "status")
	chunk := m.chunks[slices.IndexFunc(m.chunks, func(c backfill.Chunk) bool { return c.ID == task.ChunkID })]
	outcome := OutcomeOf(chunk, status)
	outcome.Stats.Fetched = rapid.Int64Range(0, 1<<50).Draw(t, "fetched")
	outcome.Stats.Inserted = rapid.Int64Range(0, outcome.Stats.Fetched).Draw(t, "inserted")

	got, err := m.ledger.Record(m.ctx, task, epoch, outcome)
	before, present := m.outcomes[task.Attempt][task.ChunkID]
	switch {
	case !m.there:
		require.ErrorIs(t, err, backfill.ErrUnknownRun)
	case task.Attempt != m.run.Attempt || m.frozen():
		require.NoError(t, err)
		require.Zero(t, got)
		if status == backfill.OutcomeSuccess && before.Status != backfill.OutcomeSuccess {
			m.late[task.ChunkID] = true
		}
	case epoch < m.createdEpoch:
		require.ErrorIs(t, err, backfill.ErrStale)
	case !m.inAttempt(task.ChunkID):
		require.ErrorContains(t, err, "is not in attempt")
	default:
		require.NoError(t, err)
		kept := !present || (status == backfill.OutcomeSuccess && before.Status != backfill.OutcomeSuccess)
		if kept {
			m.current()[task.ChunkID] = outcome
			delete(m.pending, task.ChunkID)
			delete(m.leased, task.ChunkID)
			delete(m.tries, task.ChunkID)
		}
		finish := m.phase == backfill.PhaseRunning && len(m.pending) == 0
		require.Equal(t, backfill.Recorded{Kept: kept, Finish: finish}, got)
	}
}

// drawExecution is mostly the chunk's last one.
func (m *model) drawExecution(t *rapid.T) backfill.Execution {
	task := m.drawTask(t)
	number := m.tries[task.ChunkID].runs
	if rare(t, "old execution") {
		number = rapid.IntRange(0, number).Draw(t, "execution")
	}
	return backfill.Execution{Task: task, Epoch: m.drawEpoch(t), Number: number}
}

func (m *model) handBack(t *rapid.T) {
	e := m.drawExecution(t)
	id := e.Task.ChunkID
	count, err := m.ledger.HandBack(m.ctx, e, backfill.ClassUnavailable, backfill.Cost{})
	if !m.there {
		require.ErrorIs(t, err, backfill.ErrUnknownRun)
		return
	}
	require.NoError(t, err)
	if e.Task.Attempt != m.run.Attempt || !m.pending[id] {
		require.Zero(t, count)
		return
	}
	n := m.tries[id]
	if n.runs == e.Number && n.runs > 0 {
		delete(m.leased, id)
	}
	n.open = max(0, n.open-1)
	n.failures++
	m.tries[id] = n
	require.Equal(t, n.failures, count)
}

func (m *model) renew(t *rapid.T) {
	e := m.drawExecution(t)
	lost, err := m.ledger.Renew(m.ctx, []backfill.Execution{e})
	require.NoError(t, err)
	kept := m.there && e.Task.Attempt == m.run.Attempt && !m.frozen() && !m.cancelled && e.Epoch >= m.createdEpoch &&
		m.pending[e.Task.ChunkID] && e.Number > 0 && m.tries[e.Task.ChunkID].runs == e.Number
	if !kept {
		require.Equal(t, []backfill.Execution{e}, lost)
		return
	}
	require.Empty(t, lost)
	m.leased[e.Task.ChunkID] = true
}

// expire lets the time of a lease pass.
func (m *model) expire(t *rapid.T) {
	if !m.there || len(m.leased) == 0 {
		t.Skip("no lease")
	}
	id := rapid.SampledFrom(slices.Sorted(maps.Keys(m.leased))).Draw(t, "chunk")
	m.ledger.ExpireLease(backfill.Task{RunID: m.run.ID(), Attempt: m.run.Attempt, ChunkID: id})
	m.leased[id] = false
}

func (m *model) regenerate(t *rapid.T) {
	task := m.drawTask(t)
	id := task.ChunkID
	generation := m.tries[id].generation
	if rare(t, "old generation") {
		generation = rapid.IntRange(0, generation).Draw(t, "generation")
	}
	next, ok, err := m.ledger.Regenerate(m.ctx, task, generation)
	require.NoError(t, err)
	n := m.tries[id]
	want := m.there && task.Attempt == m.run.Attempt && !m.frozen() && m.pending[id] && generation == n.generation && !m.leased[id]
	require.Equal(t, want, ok)
	if !want {
		return
	}
	delete(m.leased, id)
	n.generation++
	m.tries[id] = n
	require.Equal(t, n.generation, next)
}

func (m *model) stillWanted(t *rapid.T) {
	e := m.drawExecution(t)
	wanted, err := m.ledger.StillWanted(m.ctx, e)
	switch {
	case !m.there:
		require.ErrorIs(t, err, backfill.ErrUnknownRun)
	case e.Task.Attempt != m.run.Attempt || m.frozen():
		require.NoError(t, err)
		require.False(t, wanted)
	case e.Epoch < m.createdEpoch:
		require.ErrorIs(t, err, backfill.ErrStale)
	case m.pending[e.Task.ChunkID]:
		require.NoError(t, err)
		want := !m.cancelled && e.Number > 0 && m.tries[e.Task.ChunkID].runs == e.Number
		require.Equal(t, want, wanted)
	default:
		require.NoError(t, err)
		want := !m.cancelled && m.current()[e.Task.ChunkID].Status.Rank() == 1
		require.Equal(t, want, wanted)
	}
}
