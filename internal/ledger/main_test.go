package ledger_test

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"quantbot/internal/backfill"
	"quantbot/internal/candle"
	"quantbot/internal/ledger"
	"quantbot/internal/local/localtest"
	"quantbot/internal/manifest"
)

func TestMain(m *testing.M) { localtest.Main(m) }

// newLedger returns a ledger over a Redis database of the test's own.
func newLedger(t testing.TB) (*ledger.Ledger, *redis.Client) {
	t.Helper()
	options, err := redis.ParseURL(localtest.New(t).RedisURL)
	require.NoError(t, err)
	options.PoolSize = 64
	client := redis.NewClient(options)
	t.Cleanup(func() { require.NoError(t, client.Close()) })
	return ledger.New(client), client
}

var runCounter atomic.Int64

// newRun returns a first attempt with an input of its own and its chunks.
func newRun(chunks int) (backfill.Run, []backfill.Chunk) {
	run := backfill.Run{
		Manifest: manifest.Manifest{
			RunID:     uuid.New(),
			StartedAt: time.Date(2024, 1, 2, 3, 4, 5, 0, time.UTC),
			StartedBy: "ana@quant",
			CLIArgs:   map[string]any{"from": "2024-01-01"},
			EnvInfo:   map[string]string{"BIRDEYE_API_KEY": "***"},
			InputHash: fmt.Sprintf("input-%d", runCounter.Add(1)),
			Source:    "birdeye",
			Interval:  candle.Interval1m,
			Range:     candle.Range{From: 0, To: 86400},
			DedupMode: manifest.DedupNone,
		},
		Attempt:       1,
		PlannedChunks: chunks,
	}
	plan := make([]backfill.Chunk, chunks)
	token := candle.Token{Chain: candle.Solana, Address: "So11111111111111111111111111111111111111112"}
	for i := range plan {
		plan[i] = backfill.NewChunk(token, candle.Interval1m, candle.Range{From: int64(i) * 3600, To: int64(i+1) * 3600})
	}
	return run, plan
}

func taskOf(run backfill.Run, chunk backfill.Chunk) backfill.Task {
	return backfill.Task{RunID: run.ID(), Attempt: run.Attempt, ChunkID: chunk.ID}
}

func outcomeOf(chunk backfill.Chunk, status backfill.OutcomeStatus) backfill.Outcome {
	outcome := backfill.Outcome{
		ChunkID: chunk.ID, Token: chunk.Token, Range: chunk.Range, Status: status, Source: "birdeye", Executions: 1,
		Worker: "w1", Version: "v1", StartedAt: time.Unix(1_700_000_000, 0).UTC(), EndedAt: time.Unix(1_700_000_001, 0).UTC(),
	}
	if status == backfill.OutcomeSuccess {
		outcome.Stats = backfill.Stats{Fetched: 60, Inserted: 58, Rejected: 2, APICalls: 1}
	} else {
		outcome.Error, outcome.ErrorClass = "HTTP 500", backfill.ClassUnavailable
	}
	return outcome
}

// resultOf is a record of the attempt's end.
func resultOf(run backfill.Run) backfill.RunRecord {
	return backfill.RunRecord{Run: run, Status: backfill.StatusCompleted, CompletedAt: time.Unix(1_700_000_002, 0).UTC()}
}

// openRun opens the run and stores its plan.
func openRun(t testing.TB, l *ledger.Ledger, run backfill.Run, plan []backfill.Chunk) (epoch int64) {
	t.Helper()
	epoch, err := l.Open(t.Context(), run, false)
	require.NoError(t, err)
	require.NoError(t, l.StorePlan(t.Context(), run.ID(), epoch, plan))
	return epoch
}

// sealRun opens the run, stores its plan and seals it.
func sealRun(t testing.TB, l *ledger.Ledger, run backfill.Run, plan []backfill.Chunk) (epoch int64) {
	t.Helper()
	epoch = openRun(t, l, run, plan)
	_, err := l.Seal(t.Context(), run.ID(), epoch)
	require.NoError(t, err)
	return epoch
}

// finishRun records every chunk, freezes and settles.
func finishRun(t testing.TB, l *ledger.Ledger, run backfill.Run, plan []backfill.Chunk, epoch int64, status backfill.OutcomeStatus) {
	t.Helper()
	for _, chunk := range plan {
		record(t, l, run, epoch, outcomeOf(chunk, status))
	}
	require.NoError(t, l.Freeze(t.Context(), run.ID(), run.Attempt))
	require.NoError(t, l.Settle(t.Context(), run.ID(), resultOf(run)))
}

func record(t testing.TB, l *ledger.Ledger, run backfill.Run, epoch int64, outcome backfill.Outcome) backfill.Recorded {
	t.Helper()
	recorded, err := l.Record(t.Context(), backfill.Task{RunID: run.ID(), Attempt: run.Attempt, ChunkID: outcome.ChunkID}, epoch, outcome)
	require.NoError(t, err)
	return recorded
}

func stateOf(t testing.TB, l *ledger.Ledger, run backfill.Run) backfill.LedgerState {
	t.Helper()
	state, err := l.State(t.Context(), run.ID())
	require.NoError(t, err)
	return state
}

// outcomesOf reads the outcomes of an attempt and checks that each chunk comes once.
func outcomesOf(t testing.TB, l *ledger.Ledger, run backfill.Run) map[backfill.ChunkID]backfill.Outcome {
	t.Helper()
	outcomes := make(map[backfill.ChunkID]backfill.Outcome)
	require.NoError(t, l.Outcomes(t.Context(), run.ID(), run.Attempt, func(o backfill.Outcome) error {
		require.NotContains(t, outcomes, o.ChunkID)
		outcomes[o.ChunkID] = o
		return nil
	}))
	return outcomes
}

func metaKey(run backfill.Run) string { return "quantbot:{" + run.ID().String() + "}:meta" }

func inputKey(run backfill.Run) string { return "quantbot:input:" + run.Manifest.InputHash }

// planOf reads the plan of an attempt.
func planOf(t testing.TB, l *ledger.Ledger, run backfill.Run) []backfill.Chunk {
	t.Helper()
	var plan []backfill.Chunk
	require.NoError(t, l.Plan(t.Context(), run.ID(), run.Attempt, func(chunks []backfill.Chunk) error {
		plan = append(plan, chunks...)
		return nil
	}))
	return plan
}

// recordAll records a success for each chunk, many at a time.
func recordAll(t testing.TB, l *ledger.Ledger, run backfill.Run, epoch int64, plan []backfill.Chunk) {
	t.Helper()
	var group errgroup.Group
	group.SetLimit(32)
	for _, chunk := range plan {
		group.Go(func() error {
			_, err := l.Record(t.Context(), taskOf(run, chunk), epoch, outcomeOf(chunk, backfill.OutcomeSuccess))
			return err
		})
	}
	require.NoError(t, group.Wait())
}
