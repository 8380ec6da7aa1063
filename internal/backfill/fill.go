package backfill

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"quantbot/internal/candle"
	"quantbot/internal/manifest"
	"quantbot/internal/pause"
)

// ErrUnwanted says that the run was cancelled, or its attempt ended, while the chunk was being fetched; nothing was stored.
var ErrUnwanted = errors.New("the run no longer wants this chunk")

// Filler fetches chunks and stores them.
type Filler struct {
	// Source gives a source by its name, as the run with this manifest asks it; the error has a Class.
	Source SourceFunc
	Store  CandleStore
	// Memory bounds the memory of chunks in hand; nil = limitless.
	Memory *MemoryLimiter
	// Gate keeps chunks from being fetched while the store takes none; nil = it is not asked.
	Gate *StoreGate
	// Waits shows people what chunks wait for; nil = nobody asks.
	Waits *Waits
	// Secrets are left out of the errors that outcomes keep, whosever words they are.
	Secrets manifest.Secrets
	// Worker and Version name this process in outcomes.
	Worker  string
	Version string
	// Clock decides what is closed, and dates outcomes.
	Clock *Clock
}

// Fill fetches the chunk page by page, checks its candles and writes those that pass together with the outcome row. It
// asks stillWanted just before it writes, and returns ErrUnwanted without writing when that says no. An error carries a
// Class; nothing is stored then.
func (f *Filler) Fill(ctx context.Context, admission Admission, chunk Chunk, stillWanted func(context.Context) (bool, error)) (Outcome, error) {
	run := admission.Run
	outcome := f.begin(admission, chunk)
	write := ChunkWrite{Run: run, Chunk: chunk}
	defer f.Waits.hold(run.ID())()
	release, err := f.Memory.acquire(ctx, chunk)
	if err != nil {
		return outcome, fmt.Errorf("wait for memory for chunk %s: %w", chunk.ID, err)
	}
	defer release()
	leave, ok := f.Gate.admit(ctx)
	if !ok {
		return outcome, fmt.Errorf("wait until candles of chunk %s can be stored: %w", chunk.ID, endOfWait(ctx))
	}
	defer leave()
	fetched, err := f.fetchWithFallbacks(ctx, run, chunk, admission.Unanswered, &outcome)
	if err != nil {
		return outcome, err
	}
	outcome.AnsweredTo, outcome.Files = fetched.answeredTo, fetched.files
	validate(fetched, run, chunk, &write, &outcome)
	if run.Manifest.DedupMode == manifest.DedupInline {
		f.deduplicate(ctx, &write, &outcome)
	}
	outcome.Status = OutcomeSuccess
	return f.store(ctx, write, outcome, stillWanted)
}

const (
	// storeTries is how often a chunk is tried whose refusal has no reason that we know: about ten minutes.
	storeTries = 120
	// wantedPause is between two questions whether a chunk is still wanted, while the ledger does not answer.
	wantedPause = time.Second
)

// store writes what was fetched. It has been paid for, so it is kept in hand while ClickHouse refuses, as long as this
// process lives and the chunk is wanted: to fetch it again would cost calls.
func (f *Filler) store(ctx context.Context, write ChunkWrite, outcome Outcome, stillWanted func(context.Context) (bool, error)) (Outcome, error) {
	for tries := 1; ; tries++ {
		tried, ok := f.Gate.turn(ctx)
		if !ok {
			return outcome, fmt.Errorf("store chunk %s: %w", write.Chunk.ID, endOfWait(ctx))
		}
		recorded, refused, err := f.tryStore(ctx, write, &outcome, stillWanted)
		switch {
		case err == nil:
			if len(write.Candles) > 0 { // else nothing was inserted, which proves nothing
				f.Gate.accept(ctx)
			}
			outcome.Unrecorded = !recorded
		case refused:
			f.Gate.Refuse(ctx, err)
		}
		tried()
		if !refused || tries >= storeTries && ReasonOf(err) == WaitOther || f.Gate == nil && pause.For(ctx, storePause) != nil {
			return outcome, err
		}
	}
}

// tryStore asks whether the chunk is still wanted and writes it. refused reports that the store did not take it.
func (f *Filler) tryStore(ctx context.Context, write ChunkWrite, outcome *Outcome, stillWanted func(context.Context) (bool, error)) (recorded, refused bool, err error) {
	wanted, err := askUntilAnswered(ctx, stillWanted)
	if err != nil {
		return false, false, fmt.Errorf("ask whether chunk %s is still wanted: %w", write.Chunk.ID, err)
	}
	if !wanted {
		return false, false, ErrUnwanted
	}
	outcome.EndedAt = f.Clock.Now().UTC()
	write.Outcome = *outcome
	done := f.Gate.asking()
	recorded, err = f.Store.WriteChunk(ctx, write)
	done(err)
	if err != nil {
		return false, ClassOf(err) == ClassStore && ctx.Err() == nil, fmt.Errorf("store chunk %s: %w", write.Chunk.ID, err)
	}
	return recorded, false, nil
}

// askUntilAnswered asks again while the ledger is away. That it lost the run or rebuilt it is an answer.
func askUntilAnswered(ctx context.Context, stillWanted func(context.Context) (bool, error)) (bool, error) {
	for {
		wanted, err := stillWanted(ctx)
		answered := err == nil || errors.Is(err, ErrUnknownRun) || errors.Is(err, ErrStale)
		if answered || ClassOf(err) != ClassStore || pause.For(ctx, wantedPause) != nil {
			return wanted, err
		}
	}
}

// endOfWait is why a wait for the store ended: a task whose time is over is tried again without spending a try.
func endOfWait(ctx context.Context) error {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return WithClass(ClassStore, ctx.Err())
	}
	return ctx.Err()
}

// deduplicate leaves out what settled runs serve as well, and counts what is stored in the shadow of others apart from what is new.
func (f *Filler) deduplicate(ctx context.Context, write *ChunkWrite, outcome *Outcome) {
	store, shadowed := f.Store.Deduplicate(ctx, write.Run, write.Chunk, outcome.Source, write.Candles)
	outcome.Stats.skip(int64(len(write.Candles) - len(store)))
	outcome.Stats.shadow(shadowed)
	write.Candles = store
}

// Unfilled is the outcome of a chunk that ends without candles.
func (f *Filler) Unfilled(admission Admission, chunk Chunk, status OutcomeStatus, class Class, text string) Outcome {
	outcome := f.begin(admission, chunk)
	outcome.Status = status
	outcome.Error = f.Secrets.Redact(text)
	outcome.ErrorClass = class
	outcome.EndedAt = outcome.StartedAt
	return outcome
}

// begin counts what earlier executions spent: it was paid for, whichever of them ends the chunk.
func (f *Filler) begin(admission Admission, chunk Chunk) Outcome {
	return Outcome{
		ChunkID: chunk.ID, Token: chunk.Token, Range: chunk.Range, Source: admission.Run.Manifest.Source,
		Stats:      Stats{APICalls: admission.Spent.Calls, Credits: admission.Spent.Credits},
		Executions: admission.Executions, Worker: f.Worker, Version: f.Version, StartedAt: f.Clock.Now().UTC(),
	}
}

// validate sorts what was fetched into candles to store, rejected ones and duplicates; each goes to exactly one of them (R3).
// None of them opens in the future: what is not closed was dropped before.
func validate(fetched fetchResult, run Run, chunk Chunk, write *ChunkWrite, outcome *Outcome) {
	tier, stats := run.Tier(outcome.Source), &outcome.Stats
	valid := fetched.candles[:0]
	for _, c := range fetched.candles {
		if candle.ZeroVolume(c) {
			stats.ZeroVolume++
		}
		if rule := candle.Check(c, chunk.Interval, run.Manifest.Validation, chunk.Range.To); rule != candle.RuleNone {
			write.Rejected = append(write.Rejected, Rejection{Candle: c, Rule: rule, Detail: fetched.detail(c, rule)})
			continue
		}
		valid = append(valid, c)
	}
	broken := len(write.Rejected)
	write.Candles = candle.Dedupe(valid, tier)
	write.Rejected = dedupeRejected(write.Rejected, tier)
	stats.Rejected = int64(len(write.Rejected))
	stats.Inserted = int64(len(write.Candles))
	stats.Skipped = int64(len(valid) - len(write.Candles) + broken - len(write.Rejected))
	stats.Deduplicated = stats.Skipped
}

// dedupeRejected keeps one candle of each open time and rule: the quarantine holds one.
func dedupeRejected(rejected []Rejection, tier candle.SourceTier) []Rejection {
	slices.SortFunc(rejected, func(a, b Rejection) int {
		return cmp.Or(cmp.Compare(a.Candle.OpenTime, b.Candle.OpenTime), cmp.Compare(a.Rule, b.Rule), candle.CompareBest(a.Candle, b.Candle, tier))
	})
	return slices.CompactFunc(rejected, func(a, b Rejection) bool {
		return a.Candle.OpenTime == b.Candle.OpenTime && a.Rule == b.Rule
	})
}
