package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/google/uuid"

	"quantbot/internal/backfill"
	"quantbot/internal/candle"
	"quantbot/internal/clickhouse"
	"quantbot/internal/coverage"
	"quantbot/internal/manifest"
	"quantbot/internal/wiring"
)

// stateFunc is how the ledger sees a run.
type stateFunc func(ctx context.Context, runID uuid.UUID) (backfill.LedgerState, error)

// beingFetched is what runs that are going on have yet to fetch of what is wanted; nothing with --force, and, with a warning,
// where that cannot be read (R7). state may be nil.
func (a *app) beingFetched(ctx context.Context, history *clickhouse.DB, state stateFunc, in ingestion, r candle.Range) *backfill.BeingFetched {
	none := backfill.NewBeingFetched(nil, in.request.Interval)
	if in.options.force {
		return none
	}
	q := coverageQuery(in, r)
	runs, err := history.LiveRuns(ctx, q)
	if err == nil && state != nil {
		runs, err = withoutEnding(ctx, state, runs)
	}
	being := backfill.NewBeingFetched(in.request.Wanted, in.request.Interval)
	if err == nil {
		err = history.FillBeingFetched(ctx, q, runs, being)
	}
	if err != nil {
		a.logger().WarnContext(ctx, "what other runs are fetching is not readable, planning it, too", "err", err)
		return none
	}
	return being
}

// withoutEnding leaves out the runs that will fetch nothing more, although the history does not know it yet. One that the ledger
// lost is rebuilt.
func withoutEnding(ctx context.Context, state stateFunc, runs []backfill.LiveRun) ([]backfill.LiveRun, error) {
	var failed error
	going := slices.DeleteFunc(runs, func(run backfill.LiveRun) bool {
		s, err := state(ctx, run.RunID)
		if err != nil && !errors.Is(err, backfill.ErrUnknownRun) {
			failed = err
		}
		return err == nil && (s.Cancelled || s.Result != nil)
	})
	return going, failed
}

// leftOut is a backfill.LeftOut as people read it.
type leftOut struct {
	RunID   uuid.UUID `json:"run_id"`
	Candles int64     `json:"candles"`
	Tokens  int       `json:"tokens"`
}

func leftOuts(left []backfill.LeftOut) []leftOut {
	outs := make([]leftOut, len(left))
	for i, l := range left {
		outs[i] = leftOut{RunID: l.RunID, Candles: l.Candles, Tokens: len(l.Wanted)}
	}
	return outs
}

// String is the beginning of a sentence.
func (l leftOut) String() string {
	are := "are"
	if l.Candles == 1 {
		are = "is"
	}
	return fmt.Sprintf("%s of %s %s being fetched by run %s", counted(l.Candles, "candle"), counted(l.Tokens, "token"), are, l.RunID)
}

// typedRequest is a request with its times as typed.
type typedRequest struct {
	From string `json:"from"`
	To   string `json:"to"`
	backfill.Request
}

// typedHash is the hash of the request as it was typed, empty where that says no more than the input hash: no time is relative.
// The ranges of tokens are those of the times; the windows around calls are what the worklist says.
func (in ingestion) typedHash() (string, error) {
	o := in.options
	if !isRelative(o.from) && !isRelative(o.to) {
		return "", nil
	}
	typed := typedRequest{From: o.from, To: o.to, Request: in.request}
	if !in.calls {
		typed.Wanted = make([]candle.TokenRanges, len(in.request.Wanted))
		for i, w := range in.request.Wanted {
			typed.Wanted[i].Token = w.Token
		}
	}
	return manifest.InputHash(typed)
}

// waitForOthers waits for the ends of the runs that something was left to, and then looks what of it is there.
func (a *app) waitForOthers(ctx context.Context, stores *wiring.Stores, in ingestion, run backfill.Run, left []backfill.LeftOut) error {
	for i, other := range leftOuts(left) {
		fmt.Fprintf(a.stderr, "run %s has ended; waiting for run %s, which fetches %s of %s for it\n",
			run.ID(), other.RunID, counted(other.Candles, "candle"), counted(other.Tokens, "token"))
		record, err := a.watch(ctx, stores, other.RunID)
		if ctx.Err() != nil {
			return &exitError{exitInterrupted, a.interrupted(other.RunID)}
		}
		if err != nil {
			return err
		}
		fmt.Fprintf(a.stderr, "run %s %s\n", other.RunID, record.Status)
		missing, err := a.stillMissing(ctx, stores, in, left[i].Wanted)
		if err != nil {
			return fmt.Errorf("look whether run %s fetched what was left to it: %w", other.RunID, err)
		}
		if missing > 0 {
			return &exitError{exitRunFailed, fmt.Errorf("run %s %s without %d of the %s that were left to it: start the same command again, it fetches what is missing",
				other.RunID, record.Status, missing, counted(other.Candles, "candle"))}
		}
	}
	return nil
}

// stillMissing counts the candles of these ranges that a run would ask for now.
func (a *app) stillMissing(ctx context.Context, stores *wiring.Stores, in ingestion, wanted []candle.TokenRanges) (missing int64, err error) {
	in.request.Wanted = wanted
	in.request.Normalize()
	var span candle.Range
	for _, w := range wanted {
		for _, r := range w.Ranges {
			if span.Empty() {
				span = r
			}
			span = candle.Range{From: min(span.From, r.From), To: max(span.To, r.To)}
		}
	}
	coverage := coverage.NewFilter(in.request.Wanted, in.request.Interval, a.now())
	if err := stores.History.FillCoverage(ctx, coverageQuery(in, span), coverage); err != nil {
		return 0, err
	}
	for _, w := range coverage.Missing() {
		for _, r := range w.Ranges {
			missing += r.Candles(in.request.Interval)
		}
	}
	return missing, nil
}
