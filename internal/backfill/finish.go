package backfill

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"quantbot/internal/candle"
	"quantbot/internal/manifest"
)

// unrecordedBatch is how many outcome rows are written to the history at a time.
const unrecordedBatch = 5_000

// Finisher ends attempts.
type Finisher struct {
	Ledger  FinishLedger
	History FinishHistory
	Logger  *slog.Logger
	Now     func() time.Time
}

// Finish adds up the outcomes of a sealed attempt without pending chunks and ends it, exactly once however many call it.
// Called for an attempt that is past, it only makes sure that the history has it. ErrNotDone says that chunks are
// pending. A history that cannot be written is a warning: the reconciler asks again (R7).
func (f *Finisher) Finish(ctx context.Context, runID uuid.UUID, attempt int) error {
	state, err := f.Ledger.State(ctx, runID)
	if err != nil {
		return fmt.Errorf("read run %s: %w", runID, err)
	}
	if state.Run.Attempt > attempt {
		return nil
	}
	totals, err := f.settle(ctx, state, attempt)
	if err != nil {
		return err
	}
	if err := f.archive(ctx, totals); err != nil {
		f.Logger.WarnContext(ctx, "run history not writable, the end of the run will be written later",
			"run_id", runID, "attempt", attempt, "status", totals.record.Status, "err", err)
	}
	return nil
}

// settle freezes and adds up the attempt and stores the result in the ledger.
func (f *Finisher) settle(ctx context.Context, state LedgerState, attempt int) (*runTotals, error) {
	runID := state.Run.ID()
	err := f.Ledger.Freeze(ctx, runID, attempt)
	if err != nil && !errors.Is(err, ErrFinished) {
		return nil, fmt.Errorf("freeze run %s: %w", runID, err)
	}
	totals, err := f.addUp(ctx, state)
	if err != nil {
		return nil, fmt.Errorf("add up run %s: %w", runID, err)
	}
	err = f.Ledger.Settle(ctx, runID, totals.record)
	switch {
	case errors.Is(err, ErrFinished):
		return totals, f.takeSettled(ctx, totals)
	case err != nil:
		return nil, fmt.Errorf("settle run %s: %w", runID, err)
	default:
		f.announce(ctx, totals.record)
	}
	return totals, nil
}

// takeSettled replaces the record by the one that another finisher settled first: a run has one end.
func (f *Finisher) takeSettled(ctx context.Context, t *runTotals) error {
	state, err := f.Ledger.State(ctx, t.record.ID())
	if err != nil {
		return fmt.Errorf("read the result of run %s: %w", t.record.ID(), err)
	}
	if state.Result != nil && state.Result.Attempt == t.record.Attempt {
		t.record = *state.Result
	}
	return nil
}

func (f *Finisher) announce(ctx context.Context, record RunRecord) {
	f.Logger.InfoContext(ctx, "run finished", "run_id", record.ID(), "attempt", record.Attempt, "status", record.Status,
		"chunks", record.PlannedChunks, "failed", record.FailedChunks, "rows", record.Stats.Inserted)
	if !record.Stats.Balanced() {
		f.Logger.ErrorContext(ctx, "identity broken: fetched differs from inserted + rejected + deduplicated, or deduplicated is less than shadowed + skipped",
			"run_id", record.ID(), "fetched", record.Stats.Fetched, "inserted", record.Stats.Inserted,
			"rejected", record.Stats.Rejected, "deduplicated", record.Stats.Deduplicated,
			"shadowed", record.Stats.Shadowed, "skipped", record.Stats.Skipped)
	}
}

// archive writes what the history lacks and lets go of the run. The end of the run comes last: once the history says
// that the run is over, it has everything else.
func (f *Finisher) archive(ctx context.Context, t *runTotals) error {
	run := t.record.Run
	if f.writeUnrecorded(ctx, t); t.unwritten != nil {
		return fmt.Errorf("write outcomes of run %s: %w", run.ID(), t.unwritten)
	}
	if err := f.History.Finished(ctx, t.record); err != nil {
		return fmt.Errorf("write the end of run %s: %w", run.ID(), err)
	}
	if err := f.Ledger.Archive(ctx, run.ID(), run.Attempt); err != nil {
		return fmt.Errorf("archive run %s: %w", run.ID(), err)
	}
	return nil
}

// writeUnrecorded writes the outcomes that the totals holds for the history. After an error it drops them: the attempt is
// added up again when the history is back.
func (f *Finisher) writeUnrecorded(ctx context.Context, t *runTotals) {
	if t.unwritten == nil && len(t.unrecorded) > 0 {
		t.unwritten = f.History.RecordOutcomes(ctx, t.record.Run, t.unrecorded)
	}
	t.unrecorded = t.unrecorded[:0]
}

// addUp reads the outcomes of all attempts: a run's stats are each chunk's latest (R2). It holds a few bytes of each
// chunk, not its outcome: a run has up to a million.
func (f *Finisher) addUp(ctx context.Context, state LedgerState) (*runTotals, error) {
	t := newRunTotals(state.Run, f.Now().UTC())
	var seen ChunkSet // the ledger returns each chunk of an attempt once
	for attempt := state.Run.Attempt; attempt >= 1; attempt-- {
		err := f.Ledger.Outcomes(ctx, state.Run.ID(), attempt, func(o Outcome) error {
			if state.Run.Attempt > 1 && !seen.Add(o.ChunkID) {
				return nil
			}
			if t.add(o); len(t.unrecorded) == unrecordedBatch {
				f.writeUnrecorded(ctx, t)
			}
			return nil
		})
		if err != nil {
			return nil, fmt.Errorf("read outcomes of attempt %d: %w", attempt, err)
		}
	}
	t.close(state)
	f.deduplicate(ctx, &t.record)
	return t, nil
}

// deduplicate ends the comparison with other runs: inline dedup is over by now, post-batch happens here. A history that
// cannot be read leaves the run without it (R7).
func (f *Finisher) deduplicate(ctx context.Context, record *RunRecord) {
	if stats := &record.Stats; record.Manifest.DedupMode != manifest.DedupInline {
		// Up to here only duplicates inside an answer count, also in the outcomes of older programs, which do not say so.
		stats.Skipped = stats.Deduplicated - stats.Shadowed
	}
	switch record.Manifest.DedupMode {
	case manifest.DedupInline:
	case manifest.DedupPostBatch:
		shadowed, err := f.History.Shadowed(ctx, record.Run)
		if err != nil {
			f.Logger.WarnContext(ctx, "post-batch dedup not possible, the run ends without it", "run_id", record.ID(), "err", err)
			return
		}
		// Stored are also the candles of executions whose outcome does not count: a chunk that was answered again, or failed.
		record.Stats.shadow(min(shadowed, record.Stats.Inserted))
	default:
		return
	}
	record.DedupCompletedAt = f.Now().UTC()
}

// runTotals adds outcomes up to a run's record.
type runTotals struct {
	record RunRecord
	// unrecorded waits to be written to the history, unwritten is why that did not work.
	unrecorded []Outcome
	unwritten  error
	tokens     map[tokenDigest]struct{}
	failures   map[string]*failure
}

// tokenDigest stands for a token, in 16 bytes: of a million tokens two are taken for one with a chance below 1e-26.
type tokenDigest [16]byte

func digestOf(token candle.Token) tokenDigest {
	sum := sha256.Sum256([]byte(token.String()))
	return tokenDigest(sum[:16])
}

// failure groups the failed chunks that have the same reason.
type failure struct {
	reason string
	chunks int
	token  candle.Token // one of them, the first in order
}

func newRunTotals(run Run, now time.Time) *runTotals {
	return &runTotals{
		record:   RunRecord{Run: run, CompletedAt: now},
		tokens:   make(map[tokenDigest]struct{}),
		failures: make(map[string]*failure),
	}
}

func (t *runTotals) add(o Outcome) {
	t.record.Stats = t.record.Stats.Add(o.Stats)
	if o.Unrecorded {
		o.Unrecorded = false
		t.unrecorded = append(t.unrecorded, o)
	}
	switch o.Status {
	case OutcomeSuccess:
		t.tokens[digestOf(o.Token)] = struct{}{}
	case OutcomeCancelled:
		t.record.CancelledChunks++
	case OutcomeFailed:
		t.record.FailedChunks++
		t.fail(o)
	}
}

func (t *runTotals) fail(o Outcome) {
	reason := FailureReason(o)
	group, ok := t.failures[reason]
	if !ok {
		group = &failure{reason: reason, token: o.Token}
		t.failures[reason] = group
	}
	group.chunks++
	if o.Token.Compare(group.token) < 0 {
		group.token = o.Token
	}
}

// FailureReason is the error of a chunk without what is particular to the chunk, so that equal causes group.
func FailureReason(o Outcome) string {
	_, reason, found := strings.Cut(o.Error, ": ")
	if !found || !strings.HasPrefix(o.Error, "fetch ") {
		return o.Error
	}
	return reason
}

func (t *runTotals) close(state LedgerState) {
	t.record.TokensProcessed = len(t.tokens)
	t.record.ErrorMessage = t.errorMessage()
	switch {
	case state.Halted != "" && t.record.CancelledChunks > 0:
		t.record.Status = StatusFailed
		t.record.ErrorMessage = strings.TrimSuffix("halted: "+state.Halted+"; "+t.record.ErrorMessage, "; ")
	case state.Cancelled && t.record.CancelledChunks > 0:
		t.record.Status = StatusCancelled
	case t.record.FailedChunks > 0:
		t.record.Status = StatusFailed
	default:
		t.record.Status = StatusCompleted
	}
}

// maxFailureGroups bounds the length of a run's error message.
const maxFailureGroups = 5

// errorMessage lists the most frequent failures: "2 chunks (solana:So1…): HTTP 500; …".
func (t *runTotals) errorMessage() string {
	groups := make([]*failure, 0, len(t.failures))
	for _, group := range t.failures {
		groups = append(groups, group)
	}
	slices.SortFunc(groups, func(a, b *failure) int {
		return cmp.Or(cmp.Compare(b.chunks, a.chunks), cmp.Compare(a.reason, b.reason))
	})
	parts := make([]string, 0, maxFailureGroups+1)
	for i, group := range groups {
		if i == maxFailureGroups {
			parts = append(parts, fmt.Sprintf("and %d more kinds of errors", len(groups)-i))
			break
		}
		parts = append(parts, group.String())
	}
	return strings.Join(parts, "; ")
}

// String writes the group as one part of a run's error message.
func (g *failure) String() string {
	if g.chunks == 1 {
		return fmt.Sprintf("1 chunk failed (%s): %s", g.token, g.reason)
	}
	return fmt.Sprintf("%d chunks failed (%s and others): %s", g.chunks, g.token, g.reason)
}
