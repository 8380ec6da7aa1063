package backfilltest

import (
	"context"
	"maps"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"quantbot/internal/backfill"
)

// checkModel does random things to one run, in an order that planners, workers, finishers, people and losses of Redis may
// do them, also with tasks and epochs of the past, and compares every answer and the state with a model.
func checkModel(t *testing.T, l LedgerUnderTest) {
	rapid.Check(t, func(rt *rapid.T) {
		l.Lose()
		m := newModel(t.Context(), l, rapid.IntRange(0, 4).Draw(rt, "chunks"))
		m.open(rt)
		rt.Repeat(map[string]func(*rapid.T){
			"admit":    m.admit,
			"record":   m.record,
			"advance":  m.advance,
			"advance2": m.advance, // twice as often, so that the end of an attempt is reached
			"advance3": m.advance,
			"handBack": m.handBack,
			"renew":    m.renew,
			"expire":   m.expire,
			"replace":  m.regenerate,
			"wanted":   m.stillWanted,
			"store":    m.store,
			"seal":     m.seal,
			"takeOver": m.takeOver,
			"cancel":   m.cancel,
			"freeze":   m.freeze,
			"settle":   m.settle,
			"retry":    m.retry,
			"abandon":  m.abandon,
			"lose":     m.lose,
			"rebuild":  m.rebuild,
			"":         m.check,
		})
	})
}

type tries struct{ runs, open, failures, generation int }

// model is what the ledger should hold of one run, in plain maps.
type model struct {
	ctx    context.Context //nolint:containedctx // of the test that the model is made for
	ledger LedgerUnderTest
	chunks []backfill.Chunk

	run          backfill.Run // with the current attempt
	there        bool
	phase        backfill.Phase
	cancelled    bool
	epochs       []int64 // all there ever were, the current one last
	createdEpoch int64
	rebuilt      bool
	pending      map[backfill.ChunkID]bool
	outcomes     map[int]map[backfill.ChunkID]backfill.Outcome // by attempt
	late         map[backfill.ChunkID]bool
	tries        map[backfill.ChunkID]tries
	leased       map[backfill.ChunkID]bool // true = it has not run out
}

func newModel(ctx context.Context, l LedgerUnderTest, chunks int) *model {
	run, plan := NewRun(chunks)
	return &model{ctx: ctx, ledger: l, run: run, chunks: plan}
}

// begin resets what belongs to an attempt.
func (m *model) begin(t *rapid.T, epoch int64, rebuilt bool) {
	m.newEpoch(t, epoch)
	m.there, m.phase, m.cancelled, m.createdEpoch, m.rebuilt = true, backfill.PhasePlanning, false, epoch, rebuilt
	m.pending = make(map[backfill.ChunkID]bool)
	m.tries = make(map[backfill.ChunkID]tries)
	m.leased = make(map[backfill.ChunkID]bool)
	if m.run.Attempt > 1 && m.outcomes != nil {
		clear(m.outcomes) // they are restored from the history
	}
	if m.outcomes == nil {
		m.outcomes = make(map[int]map[backfill.ChunkID]backfill.Outcome)
		m.late = make(map[backfill.ChunkID]bool)
	}
	m.outcomes[m.run.Attempt] = make(map[backfill.ChunkID]backfill.Outcome)
}

func (m *model) newEpoch(t *rapid.T, epoch int64) {
	if len(m.epochs) > 0 {
		require.Greater(t, epoch, slices.Max(m.epochs), "an epoch must be new, also after a loss")
	}
	m.epochs = append(m.epochs, epoch)
}

// epoch is the current one.
func (m *model) epoch() int64 { return m.epochs[len(m.epochs)-1] }
func (m *model) frozen() bool {
	return m.phase == backfill.PhaseFinishing || m.phase == backfill.PhaseFinished
}
func (m *model) current() map[backfill.ChunkID]backfill.Outcome { return m.outcomes[m.run.Attempt] }
func (m *model) inAttempt(id backfill.ChunkID) bool {
	_, done := m.current()[id]
	return done || m.pending[id]
}
func (m *model) whole() bool { return len(m.pending)+len(m.current()) == m.run.AttemptChunks() }

// drawEpoch is mostly the current one.
func (m *model) drawEpoch(t *rapid.T) int64 {
	if rare(t, "old epoch") {
		return rapid.SampledFrom(m.epochs).Draw(t, "epoch")
	}
	return m.epoch()
}

// rare is true now and then.
func rare(t *rapid.T, label string) bool { return rapid.IntRange(0, 5).Draw(t, label) == 5 }

// drawTask is mostly one of the current attempt.
func (m *model) drawTask(t *rapid.T) backfill.Task {
	if len(m.chunks) == 0 {
		t.Skip("a run without chunks has no tasks")
	}
	attempt := m.run.Attempt
	if rare(t, "old attempt") {
		attempt = rapid.IntRange(1, m.run.Attempt).Draw(t, "attempt")
	}
	return backfill.Task{RunID: m.run.ID(), Attempt: attempt, ChunkID: rapid.SampledFrom(m.chunks).Draw(t, "chunk").ID}
}

// plannerError is the error that a planner of this epoch gets, or nil.
func (m *model) plannerError(epoch int64) error {
	switch {
	case !m.there:
		return backfill.ErrUnknownRun
	case epoch != m.epoch():
		return backfill.ErrStale
	}
	return nil
}

// check compares the whole state, and holds it against the rules that no sequence may break.
func (m *model) check(t *rapid.T) {
	state, err := m.ledger.State(m.ctx, m.run.ID())
	if !m.there {
		require.ErrorIs(t, err, backfill.ErrUnknownRun)
		require.True(t, m.ledger.Empty(), "nothing of a lost run may come back")
		return
	}
	require.NoError(t, err)
	require.Equal(t, m.phase == backfill.PhaseFinished, state.Result != nil)
	state.HeartbeatAge, state.Result = 0, nil
	want := backfill.LedgerState{
		Run: m.run, Phase: m.phase, Cancelled: m.cancelled, AttemptChunks: m.run.AttemptChunks(), Epoch: m.epoch(),
		Pending: len(m.pending), Progress: ProgressOf(m.current()),
	}
	require.Empty(t, cmp.Diff(want, state))
	m.checkAttempts(t)
	m.checkPlan(t)
}

func (m *model) checkAttempts(t *rapid.T) {
	for attempt, want := range m.outcomes {
		got := make(map[backfill.ChunkID]backfill.Outcome)
		require.NoError(t, m.ledger.Outcomes(m.ctx, m.run.ID(), attempt, func(o backfill.Outcome) error {
			require.NotContains(t, got, o.ChunkID, "one outcome per chunk")
			got[o.ChunkID] = o
			return nil
		}))
		require.Empty(t, cmp.Diff(want, got))
	}
	late, err := m.ledger.Late(m.ctx, m.run.ID())
	require.NoError(t, err)
	require.Len(t, late, len(m.late))
	for _, o := range late {
		require.Contains(t, m.late, o.ChunkID)
	}
}

func (m *model) checkPlan(t *rapid.T) {
	want := slices.Concat(slices.Collect(maps.Keys(m.pending)), slices.Collect(maps.Keys(m.current())))
	var got []backfill.ChunkID
	require.NoError(t, m.ledger.Plan(m.ctx, m.run.ID(), m.run.Attempt, func(chunks []backfill.Chunk) error {
		for _, c := range chunks {
			require.Contains(t, m.chunks, c, "the plan gives chunks back as they were")
			got = append(got, c.ID)
		}
		return nil
	}))
	require.ElementsMatch(t, want, got, "the plan of an attempt is what is pending and what has an outcome")
	count, err := m.ledger.PlannedChunks(m.ctx, m.run.ID(), m.run.Attempt)
	require.NoError(t, err)
	require.Equal(t, len(want), count)
	chunks, next, err := m.ledger.PendingPage(m.ctx, m.run.ID(), m.run.Attempt, 0)
	require.NoError(t, err)
	require.Zero(t, next)
	require.Len(t, chunks, len(m.pending))
	for _, p := range chunks {
		require.Equal(t, m.leased[p.Chunk.ID], p.Held)
		require.Equal(t, m.tries[p.Chunk.ID].generation, p.Generation)
	}
	m.checkExpired(t)
}

func (m *model) checkExpired(t *rapid.T) {
	var want []backfill.ExpiredLease
	for id, live := range m.leased {
		if !live {
			task := backfill.Task{RunID: m.run.ID(), Attempt: m.run.Attempt, ChunkID: id}
			want = append(want, backfill.ExpiredLease{Task: task, Execution: m.tries[id].runs, Generation: m.tries[id].generation})
		}
	}
	got, err := m.ledger.Expired(m.ctx, m.run.ID(), m.run.Attempt)
	require.NoError(t, err)
	require.ElementsMatch(t, want, got)
}
