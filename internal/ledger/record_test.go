package ledger_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"quantbot/internal/backfill"
	"quantbot/internal/backfill/backfilltest"
)

func TestRecordByRank(t *testing.T) {
	t.Parallel()
	const none = backfill.OutcomeStatus("")
	for _, c := range []struct {
		before, after backfill.OutcomeStatus
		kept          bool
		fetched       int64 // by the one before
	}{
		{none, backfill.OutcomeFailed, true, 0},
		{none, backfill.OutcomeCancelled, true, 0},
		{none, backfill.OutcomeSuccess, true, 0},
		{backfill.OutcomeFailed, backfill.OutcomeFailed, false, 7},
		{backfill.OutcomeFailed, backfill.OutcomeCancelled, false, 7},
		{backfill.OutcomeFailed, backfill.OutcomeSuccess, true, 7},
		{backfill.OutcomeFailed, backfill.OutcomeSuccess, true, 0},
		{backfill.OutcomeCancelled, backfill.OutcomeFailed, false, 7},
		{backfill.OutcomeCancelled, backfill.OutcomeSuccess, true, 7},
		{backfill.OutcomeCancelled, backfill.OutcomeSuccess, true, 0},
		{backfill.OutcomeSuccess, backfill.OutcomeFailed, false, 7},
		{backfill.OutcomeSuccess, backfill.OutcomeCancelled, false, 7},
		{backfill.OutcomeSuccess, backfill.OutcomeSuccess, false, 7},
	} {
		t.Run(string(c.before)+" then "+string(c.after), func(t *testing.T) {
			t.Parallel()
			l, _ := newLedger(t)
			run, plan := newRun(2)
			epoch := sealRun(t, l, run, plan)
			want := outcomeOf(plan[0], c.after)
			if c.before != none {
				first := outcomeOf(plan[0], c.before)
				first.Stats.Fetched, first.Stats.Inserted = c.fetched, c.fetched
				require.True(t, record(t, l, run, epoch, first).Kept)
				if !c.kept {
					want = first
				}
			}
			require.Equal(t, backfill.Recorded{Kept: c.kept}, record(t, l, run, epoch, outcomeOf(plan[0], c.after)))

			require.Empty(t, cmp.Diff(map[backfill.ChunkID]backfill.Outcome{plan[0].ID: want}, outcomesOf(t, l, run)))
			state := stateOf(t, l, run)
			require.Equal(t, 1, state.Pending)
			require.Equal(t, backfilltest.ProgressOf(outcomesOf(t, l, run)), state.Progress)
		})
	}
}

func TestRecordReportsWhoFinishes(t *testing.T) {
	t.Parallel()
	l, _ := newLedger(t)
	run, plan := newRun(2)
	epoch := sealRun(t, l, run, plan)
	require.False(t, record(t, l, run, epoch, outcomeOf(plan[0], backfill.OutcomeFailed)).Finish)
	last := outcomeOf(plan[1], backfill.OutcomeSuccess)
	require.Equal(t, backfill.Recorded{Kept: true, Finish: true}, record(t, l, run, epoch, last))
	require.Equal(t, backfill.Recorded{Finish: true}, record(t, l, run, epoch, last),
		"the first to hear it may have died of it")
}

func TestRecordLate(t *testing.T) {
	t.Parallel()
	l, client := newLedger(t)
	run, plan := newRun(3)
	epoch := sealRun(t, l, run, plan)
	for i, status := range []backfill.OutcomeStatus{backfill.OutcomeFailed, backfill.OutcomeSuccess, backfill.OutcomeFailed} {
		record(t, l, run, epoch, outcomeOf(plan[i], status))
	}
	require.NoError(t, l.Freeze(t.Context(), run.ID(), 1))
	frozen := outcomesOf(t, l, run)
	late := func() []string { return client.HKeys(t.Context(), "quantbot:{"+run.ID().String()+"}:late").Val() }

	for range 2 {
		require.Zero(t, record(t, l, run, epoch, outcomeOf(plan[0], backfill.OutcomeSuccess)))
	}
	require.Equal(t, []string{string(plan[0].ID)}, late())
	require.Zero(t, record(t, l, run, epoch, outcomeOf(plan[1], backfill.OutcomeSuccess)), "it is in the attempt already")
	require.Zero(t, record(t, l, run, epoch, outcomeOf(plan[2], backfill.OutcomeFailed)), "nothing to adopt")
	require.Equal(t, []string{string(plan[0].ID)}, late())
	require.Empty(t, cmp.Diff(frozen, outcomesOf(t, l, run)))

	require.NoError(t, l.Settle(t.Context(), run.ID(), resultOf(run)))
	retry := run
	retry.Attempt, retry.RetriedChunks = 2, 2
	sealRun(t, l, retry, []backfill.Chunk{plan[0], plan[2]})
	require.Zero(t, record(t, l, run, epoch, outcomeOf(plan[2], backfill.OutcomeSuccess)), "of the older attempt")
	require.ElementsMatch(t, []string{string(plan[0].ID), string(plan[2].ID)}, late())
	require.Equal(t, 2, stateOf(t, l, retry).Pending)
}

func TestRecordLateExpiresWithArchive(t *testing.T) {
	t.Parallel()
	l, client := newLedger(t)
	run, plan := newRun(1)
	epoch := sealRun(t, l, run, plan)
	finishRun(t, l, run, plan, epoch, backfill.OutcomeFailed)
	require.NoError(t, l.Archive(t.Context(), run.ID(), 1))
	record(t, l, run, epoch, outcomeOf(plan[0], backfill.OutcomeSuccess))
	for _, key := range client.Keys(t.Context(), "*").Val() {
		require.Greater(t, client.PTTL(t.Context(), key).Val(), time.Hour, key)
	}
}

func TestRecordRefuses(t *testing.T) {
	t.Parallel()
	l, client := newLedger(t)
	run, plan := newRun(1)
	epoch := sealRun(t, l, run, plan)

	_, more := newRun(2)
	task := taskOf(run, more[1])
	_, err := l.Record(t.Context(), task, epoch, outcomeOf(more[1], backfill.OutcomeSuccess))
	require.ErrorContains(t, err, "chunk "+string(more[1].ID)+" is not in attempt 1")
	require.Equal(t, backfill.ClassPermanent, backfill.ClassOf(err))
	_, err = l.Record(t.Context(), taskOf(run, plan[0]), epoch, outcomeOf(plan[0], "done"))
	require.ErrorContains(t, err, `unknown outcome status "done"`)

	require.NoError(t, client.FlushDB(t.Context()).Err())
	success := outcomeOf(plan[0], backfill.OutcomeSuccess)
	_, err = l.Record(t.Context(), taskOf(run, plan[0]), epoch, success)
	require.ErrorIs(t, err, backfill.ErrUnknownRun)
	require.Empty(t, client.Keys(t.Context(), "*").Val(), "nothing of a lost run may come back")

	rebuilt, err := l.Rebuild(t.Context(), run)
	require.NoError(t, err)
	require.NoError(t, l.StorePlan(t.Context(), run.ID(), rebuilt, plan))
	_, err = l.Record(t.Context(), taskOf(run, plan[0]), epoch, success)
	require.ErrorIs(t, err, backfill.ErrStale)
	require.True(t, record(t, l, run, admit(t, l, run, plan[0]).Epoch, success).Kept)
}

func TestRecordSurvivesTakeOver(t *testing.T) {
	t.Parallel()
	l, _ := newLedger(t)
	run, plan := newRun(1)
	epoch := openRun(t, l, run, plan)
	admitted := admit(t, l, run, plan[0])
	require.Equal(t, epoch, admitted.Epoch)
	_, err := l.TakeOver(t.Context(), run.ID())
	require.NoError(t, err)
	require.True(t, record(t, l, run, admitted.Epoch, outcomeOf(plan[0], backfill.OutcomeSuccess)).Kept)
}

func TestRecordForgetsTries(t *testing.T) {
	t.Parallel()
	l, client := newLedger(t)
	run, plan := newRun(1)
	sealRun(t, l, run, plan)
	record(t, l, run, admit(t, l, run, plan[0]).Epoch, outcomeOf(plan[0], backfill.OutcomeSuccess))
	require.Zero(t, client.Exists(t.Context(), "quantbot:{"+run.ID().String()+"}:a1:tries").Val())
}

func TestScriptsComeBackAfterFlush(t *testing.T) {
	t.Parallel()
	l, client := newLedger(t)
	run, plan := newRun(2)
	epoch := sealRun(t, l, run, plan)
	require.NoError(t, client.ScriptFlush(t.Context()).Err())
	require.True(t, record(t, l, run, epoch, outcomeOf(plan[0], backfill.OutcomeSuccess)).Kept)
}

func TestTroubleWithRedisIsClassed(t *testing.T) {
	t.Parallel()
	l := deadLedger(t)
	run, plan := newRun(1)
	_, err := l.Admit(t.Context(), taskOf(run, plan[0]))
	require.Equal(t, backfill.ClassStore, backfill.ClassOf(err))
	_, err = l.StillWanted(t.Context(), executionOf(run, plan[0], 1, 1))
	require.Equal(t, backfill.ClassStore, backfill.ClassOf(err))
	_, err = l.ActiveRuns(t.Context())
	require.Equal(t, backfill.ClassStore, backfill.ClassOf(err))
}
