package report

import (
	"context"
	"errors"

	chdriver "github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/google/uuid"

	"quantbot/internal/backfill"
	"quantbot/internal/candle"
	"quantbot/internal/coverage"
)

// ErrChanged means that a run was rolled back during a reading, so that its result is of no one moment.
var ErrChanged = errors.New("a run was rolled back in the meantime: try again")

// Bucket is a candle made of the served candles that open inside it: open of the first, close of the last, highest,
// lowest, sums of the volumes.
type Bucket struct {
	Token candle.Token
	candle.Candle
	// Quality is the lowest of its candles.
	Quality uint8
	Sources []string
	RunIDs  []uuid.UUID
	// Candles is how many of Expected are there; Silent, how many more a source has confirmed not to have.
	Candles, Silent, Expected int64
}

// Complete reports that no candle is missing but those that do not exist.
func (b *Bucket) Complete() bool { return b.Candles+b.Silent == b.Expected }

// Resampling counts what a resampling gave.
type Resampling struct {
	Buckets, Incomplete int64
	// Unknown counts the buckets without any candle that are not confirmed to be empty, of the tokens that were named or
	// had a bucket.
	Unknown int64
}

// Resampled calls yield for each bucket that has a candle and opens inside the selection's range, by token and time. The
// length of the buckets is a multiple of the selection's interval; their grid begins in 1970, UTC. Coverage is held in
// memory, as merged ranges; buckets are not. An error of yield ends the reading and is returned as it is.
func (db Reader) Resampled(ctx context.Context, s Selection, length candle.Interval, yield func(*Bucket) error) (Resampling, error) {
	s.Range = candle.Range{From: length.Ceil(s.Range.From), To: length.Ceil(s.Range.To)}
	r := resampler{selection: s, length: length, yield: yield, seen: make(map[candle.Token]emitted)}
	before, err := db.rollbacks(ctx)
	if err != nil {
		return r.result, err
	}
	// Coverage first: what is answered while the candles are read is then not taken for silence.
	if r.fetches, err = db.fetches(ctx, s); err != nil {
		return r.result, err
	}
	if err := db.buckets(ctx, &r); err != nil {
		return r.result, err
	}
	r.countUnknown()
	after, err := db.rollbacks(ctx)
	if err == nil && before != after && s.AsOf.IsZero() {
		err = ErrChanged
	}
	return r.result, err
}

func (db Reader) rollbacks(ctx context.Context) (n uint64, err error) {
	err = db.rows(ctx, queryTimeout, rollbacksSQL, nil, func(rows chdriver.Rows) error { return rows.Scan(&n) })
	return n, db.failed("count rollbacks", err)
}

// fetches are those of all sources and validations, at the moment of the selection.
func (db Reader) fetches(ctx context.Context, s Selection) (*coverage.Fetches, error) {
	fetches := coverage.NewFetches()
	q := backfill.CoverageQuery{Any: true, Interval: s.Interval, Range: s.Range, Tokens: s.Tokens, AsOf: s.AsOf, CoveringOnly: true}
	err := db.rejectedRanges(ctx, q, func(r coverage.RejectedRange) { fetches.Reject(r.Token, r.Range) })
	if err != nil {
		return nil, err
	}
	err = db.fetchRecords(ctx, q, func(a coverage.FetchRecord) {
		if a.Confirmed {
			fetches.Add(a.Token, a.Range)
		}
	})
	return fetches, err
}

func (db Reader) buckets(ctx context.Context, r *resampler) error {
	query := resampleSQL
	if !r.selection.AsOf.IsZero() {
		query = resampleAsOfSQL
	}
	var yieldErr error
	params := append(r.selection.params(), named("bucket", uint32(r.length)))
	err := db.rows(ctx, streamTimeout, query, params, func(rows chdriver.Rows) error {
		var b Bucket
		var chain string
		var opened uint32
		var candles uint64
		var opens []uint32
		err := rows.Scan(&chain, &b.Token.Address, &opened, &b.Open, &b.High, &b.Low, &b.Close, &b.Volume, &b.VolumeUSD,
			&b.Quality, &b.Sources, &b.RunIDs, &candles, &opens)
		if err != nil {
			return err
		}
		b.Token.Chain, b.OpenTime, b.Candles = candle.Chain(chain), int64(opened), int64(candles)
		yieldErr = r.add(&b, opens)
		return yieldErr
	})
	if yieldErr != nil {
		return yieldErr
	}
	return db.failed("resample served candles", err)
}

// resampler says of each bucket as it comes what it lacks.
type resampler struct {
	selection Selection
	length    candle.Interval
	fetches   *coverage.Fetches
	yield     func(*Bucket) error
	seen      map[candle.Token]emitted
	result    Resampling
}

// emitted counts the buckets of a token that had a candle, and those of them that were asked for whole.
type emitted struct {
	buckets, answered int64
}

func (r *resampler) add(b *Bucket, opens []uint32) error {
	within := candle.Range{From: b.OpenTime, To: b.OpenTime + r.length.Seconds()}
	b.Expected = within.Candles(r.selection.Interval)
	if b.Candles < b.Expected {
		b.Silent = r.fetches.ConfirmedEmpty(b.Token, r.selection.Interval, within, opens)
	}
	seen := r.seen[b.Token]
	seen.buckets++
	if r.fetches.ConfirmedEmpty(b.Token, r.selection.Interval, within, nil) == b.Expected {
		seen.answered++
	}
	r.seen[b.Token] = seen
	if err := r.yield(b); err != nil {
		return err
	}
	r.result.Buckets++
	if !b.Complete() {
		r.result.Incomplete++
	}
	return nil
}

// countUnknown goes by subtraction: what was answered for whole and had no candle is confirmed to be empty.
func (r *resampler) countUnknown() {
	for _, token := range r.selection.Tokens {
		if _, had := r.seen[token]; !had {
			r.seen[token] = emitted{}
		}
	}
	for token, seen := range r.seen {
		empty := -seen.answered
		for _, confirmed := range r.fetches.Ranges(token) {
			empty += confirmed.Intersect(r.selection.Range).Align(r.length).Candles(r.length)
		}
		r.result.Unknown += r.selection.Range.Candles(r.length) - seen.buckets - empty
	}
}
