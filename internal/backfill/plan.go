package backfill

import (
	"context"
	"math"
	"slices"
	"time"

	"quantbot/internal/candle"
	"quantbot/internal/manifest"
)

// Request is what a run is asked to do, with its worklist resolved. Its canonical JSON is what the input hash covers, so
// fields are only ever added with omitempty, and nothing is in it that does not change which candles end up stored.
type Request struct {
	Source     string             `json:"source"`
	Fallbacks  []string           `json:"fallbacks,omitempty"`
	Interval   candle.Interval    `json:"interval"`
	Validation candle.Validation  `json:"validation"`
	DedupMode  manifest.DedupMode `json:"dedup_mode"`
	SourceTier candle.SourceTier  `json:"source_tier"`
	// Outliers is empty where they are kept, so that the hashes of requests from before they were part of it stay what they were.
	Outliers manifest.Outliers `json:"outliers,omitempty"`
	// NoPublishedFiles leaves files out that a source publishes beside its API.
	NoPublishedFiles bool                 `json:"no_published_files,omitempty"`
	Wanted           []candle.TokenRanges `json:"wanted"`
}

// Sources are the source and its fallbacks.
func (r *Request) Sources() []string { return append([]string{r.Source}, r.Fallbacks...) }

// Normalize sorts the wanted tokens, joins those named twice and merges their ranges, so that the same wish in another
// order has the same input hash. It modifies r.
func (r *Request) Normalize() {
	slices.SortStableFunc(r.Wanted, func(a, b candle.TokenRanges) int { return a.Token.Compare(b.Token) })
	joined := r.Wanted[:0]
	for _, w := range r.Wanted {
		if last := len(joined) - 1; last >= 0 && joined[last].Token == w.Token {
			joined[last].Ranges = append(joined[last].Ranges, w.Ranges...)
			continue
		}
		joined = append(joined, w)
	}
	for i := range joined {
		joined[i].Ranges = candle.Merge(joined[i].Ranges)
	}
	r.Wanted = joined
}

// normalized returns the request as Normalize makes it, and leaves r, which others may read meanwhile, as it is.
func (r *Request) normalized() Request {
	if r.isNormal() {
		return *r
	}
	own := *r
	own.Wanted = slices.Clone(r.Wanted)
	for i := range own.Wanted {
		own.Wanted[i].Ranges = slices.Clone(own.Wanted[i].Ranges)
	}
	own.Normalize()
	return own
}

// isNormal reports whether Normalize would change nothing.
func (r *Request) isNormal() bool {
	for i, w := range r.Wanted {
		if i > 0 && r.Wanted[i-1].Token.Compare(w.Token) >= 0 {
			return false
		}
		for j, wanted := range w.Ranges {
			if wanted.Empty() || j > 0 && wanted.From <= w.Ranges[j-1].To {
				return false
			}
		}
	}
	return true
}

// PlanOptions bound a plan.
type PlanOptions struct {
	// Now, by the stores' clock (see Clock), with SettleDelay, decides which candles are closed.
	Now time.Time
	// SettleDelay is the longest of the source and its fallbacks, see Source.
	SettleDelay time.Duration
	// Cut is the source's, see Source.
	Cut Cut
}

// Cut says how ranges are cut into chunks.
type Cut struct {
	// Candles is the most candles of one chunk; at least 1.
	Candles int64
	// At is where a chunk ends in any case.
	At Boundary
}

// Boundary is a moment that recurs.
type Boundary int

// The boundaries, in UTC.
const (
	NoBoundary Boundary = iota
	EveryDay
	EveryMonth
)

// Pages is the usual cut: four full pages of the source. That is large enough that queueing costs little beside fetching
// (20,000 candles at 5,000 a page), and small enough that a retry repeats seconds, not minutes.
func Pages(pageSize int) Cut { return Cut{Candles: 4 * int64(pageSize)} }

// next is the first boundary after t.
func (b Boundary) next(t int64) int64 {
	at := time.Unix(t, 0).UTC()
	switch b {
	case EveryDay:
		return time.Date(at.Year(), at.Month(), at.Day()+1, 0, 0, 0, 0, time.UTC).Unix()
	case EveryMonth:
		return time.Date(at.Year(), at.Month()+1, 1, 0, 0, 0, 0, time.UTC).Unix()
	}
	return math.MaxInt64
}

// Plan is what a run will fetch.
type Plan struct {
	// Chunks are sorted by token and time; they cover exactly the wanted candles that are closed, each once.
	Chunks []Chunk
	// Tokens counts those with at least one chunk.
	Tokens int
	// Candles is how many open times the chunks hold: the most candles that the run can fetch.
	Candles int64
	// Range spans all chunks; empty for a plan without any.
	Range candle.Range
}

// NewPlan cuts what is wanted into chunks. It is pure: the same arguments give the same plan. A plan that would be too large
// is refused before anything of it is built, with a *PlanTooLargeError.
func NewPlan(ctx context.Context, request Request, opts PlanOptions) (Plan, error) {
	p, err := newCutter(request, opts)
	if err != nil {
		return Plan{}, err
	}
	n, err := p.bounded(ctx)
	if err != nil {
		return Plan{}, err
	}
	plan := Plan{Chunks: make([]Chunk, 0, n)}
	err = p.each(ctx, func(token candle.Token, r candle.Range) {
		if last := len(plan.Chunks) - 1; last < 0 || plan.Chunks[last].Token != token {
			plan.Tokens++
		}
		plan.Range = span(plan.Range, r)
		plan.Chunks = append(plan.Chunks, NewChunk(token, p.request.Interval, r))
		plan.Candles += r.Candles(p.request.Interval)
	})
	if err != nil {
		return Plan{}, err
	}
	return plan, nil
}

// openTimes widens a range to the grid so that it holds the candles that open inside it, whole.
func openTimes(r candle.Range, interval candle.Interval) candle.Range {
	return candle.Range{From: interval.Ceil(r.From), To: interval.Ceil(r.To)}
}
