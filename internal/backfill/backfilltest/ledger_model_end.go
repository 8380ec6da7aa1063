package backfilltest

import (
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"quantbot/internal/backfill"
)

// The actions that take a run over, and end, lose and repeat its attempts.

func (m *model) takeOver(t *rapid.T) {
	epoch, err := m.ledger.TakeOver(m.ctx, m.run.ID())
	switch {
	case !m.there:
		require.ErrorIs(t, err, backfill.ErrUnknownRun)
	case m.frozen():
		require.ErrorIs(t, err, backfill.ErrFinished)
	default:
		require.NoError(t, err)
		m.newEpoch(t, epoch)
	}
}

func (m *model) cancel(t *rapid.T) {
	err := m.ledger.Cancel(m.ctx, m.run.ID())
	switch {
	case !m.there:
		require.ErrorIs(t, err, backfill.ErrUnknownRun)
	case m.frozen():
		require.ErrorIs(t, err, backfill.ErrFinished)
	default:
		require.NoError(t, err)
		m.cancelled = true
	}
}

func (m *model) freeze(t *rapid.T) {
	m.freezeAttempt(t, rapid.IntRange(1, m.run.Attempt).Draw(t, "attempt"))
}

func (m *model) freezeAttempt(t *rapid.T, attempt int) {
	err := m.ledger.Freeze(m.ctx, m.run.ID(), attempt)
	switch {
	case !m.there:
		require.ErrorIs(t, err, backfill.ErrUnknownRun)
	case attempt < m.run.Attempt || m.phase == backfill.PhaseFinished:
		require.ErrorIs(t, err, backfill.ErrFinished)
	case m.phase == backfill.PhasePlanning || len(m.pending) > 0:
		require.ErrorIs(t, err, backfill.ErrNotDone)
	default:
		require.NoError(t, err)
		m.phase = backfill.PhaseFinishing
	}
}

func (m *model) settle(t *rapid.T) {
	m.settleAttempt(t, rapid.IntRange(1, m.run.Attempt).Draw(t, "attempt"))
}

func (m *model) settleAttempt(t *rapid.T, attempt int) {
	result := ResultOf(m.run)
	result.Attempt = attempt
	err := m.ledger.Settle(m.ctx, m.run.ID(), result)
	switch {
	case !m.there:
		require.ErrorIs(t, err, backfill.ErrUnknownRun)
	case result.Attempt < m.run.Attempt || m.phase == backfill.PhaseFinished:
		require.ErrorIs(t, err, backfill.ErrFinished)
	case m.phase != backfill.PhaseFinishing:
		require.ErrorIs(t, err, backfill.ErrNotDone)
	default:
		require.NoError(t, err)
		m.phase = backfill.PhaseFinished
	}
}

func (m *model) abandon(t *rapid.T) {
	if !rare(t, "abandon") {
		return
	}
	epoch := m.drawEpoch(t)
	err := m.ledger.Abandon(m.ctx, m.run.ID(), epoch, ResultOf(m.run))
	switch {
	case !m.there:
		require.ErrorIs(t, err, backfill.ErrUnknownRun)
	case m.phase == backfill.PhaseFinished:
		require.ErrorIs(t, err, backfill.ErrFinished)
	case epoch != m.epoch():
		require.ErrorIs(t, err, backfill.ErrStale)
	case m.phase != backfill.PhasePlanning || m.whole():
		require.ErrorContains(t, err, "the plan is whole")
	default:
		require.NoError(t, err)
		m.phase = backfill.PhaseFinished
		clear(m.pending)
	}
}

// retry opens the next attempt over some of the chunks, or is refused.
func (m *model) retry(t *rapid.T) {
	if !m.there || len(m.chunks) == 0 {
		t.Skip("nothing to retry")
	}
	next := m.run
	next.Attempt++
	next.RetriedChunks = rapid.IntRange(1, len(m.chunks)).Draw(t, "retried")
	epoch, err := m.ledger.Open(m.ctx, next, false)
	if m.phase != backfill.PhaseFinished {
		require.Error(t, err)
		return
	}
	require.NoError(t, err)
	m.run = next
	m.begin(t, epoch, false)
}

func (m *model) lose(t *rapid.T) {
	if !rare(t, "loss") {
		return
	}
	m.ledger.Lose()
	m.there, m.outcomes = false, nil
}

func (m *model) rebuild(t *rapid.T) {
	epoch, err := m.ledger.Rebuild(m.ctx, m.run)
	if m.there {
		require.ErrorIs(t, err, backfill.ErrFinished)
		return
	}
	require.NoError(t, err)
	m.begin(t, epoch, true)
}
