package backfill

import (
	"context"
	"errors"
	"fmt"

	"quantbot/internal/candle"
)

// MaxChunks is the most chunks of one plan. A chunk takes about 100 bytes while planning, 900 in Redis as a waiting task, and
// a row of the history: five million are 0.5 GB here, 4.5 GB there, and minutes of enqueuing. More than that is a slip
// (seconds instead of minutes, years instead of days) far more often than a wish, and a wish can be cut into several runs.
const MaxChunks = 5_000_000

// PlanTooLargeError refuses a plan above MaxChunks.
type PlanTooLargeError struct{ Chunks int64 }

func (e *PlanTooLargeError) Error() string {
	return fmt.Sprintf("the plan would have %d chunks, above the limit of %d", e.Chunks, MaxChunks)
}

// PlanSize is what a plan would hold, without its chunks.
type PlanSize struct {
	Chunks int
	// Tokens, Candles and Range are as in Plan.
	Tokens  int
	Candles int64
	Range   candle.Range
	// Cost is the sum over the chunks.
	Cost Cost
}

// SizePlan measures what NewPlan would build, in constant memory, and refuses what it would refuse. cost prices one chunk.
func SizePlan(ctx context.Context, request Request, opts PlanOptions, cost func(candle.Interval, candle.Range) Cost) (PlanSize, error) {
	p, err := newCutter(request, opts)
	if err != nil {
		return PlanSize{}, err
	}
	if _, err := p.bounded(ctx); err != nil {
		return PlanSize{}, err
	}
	var size PlanSize
	var last candle.Token
	err = p.each(ctx, func(token candle.Token, r candle.Range) {
		if token != last {
			size.Tokens, last = size.Tokens+1, token
		}
		size.Chunks++
		size.Candles += r.Candles(p.request.Interval)
		size.Range = span(size.Range, r)
		price := cost(p.request.Interval, r)
		size.Cost.Calls += price.Calls
		size.Cost.Credits += price.Credits
	})
	if err != nil {
		return PlanSize{}, err
	}
	return size, nil
}

// span reaches over both ranges; an empty one adds nothing.
func span(a, b candle.Range) candle.Range {
	if a.Empty() {
		return b
	}
	return candle.Range{From: min(a.From, b.From), To: max(a.To, b.To)}
}

// cutter cuts a normalized request.
type cutter struct {
	request Request
	cut     Cut
	// closed is the end of the closed candles, and step the longest chunk, in seconds.
	closed, step int64
}

func newCutter(request Request, opts PlanOptions) (cutter, error) {
	if opts.Cut.Candles < 1 {
		return cutter{}, errors.New("plan: Cut.Candles must be at least 1")
	}
	if request.Interval == 0 {
		return cutter{}, errors.New("plan: the interval is missing")
	}
	step := opts.Cut.Candles * request.Interval.Seconds()
	if step/opts.Cut.Candles != request.Interval.Seconds() {
		return cutter{}, fmt.Errorf("plan: %d candles of %s are too many for one chunk", opts.Cut.Candles, request.Interval)
	}
	request = request.normalized()
	closed := request.Interval.ClosedBefore(opts.SettleDelay, opts.Now)
	return cutter{request: request, cut: opts.Cut, closed: closed, step: step}, nil
}

// plannable is the part of a wanted range that can be asked for: whole candles that are closed.
func (p *cutter) plannable(r candle.Range) candle.Range {
	r = openTimes(r, p.request.Interval)
	r.To = min(r.To, p.closed)
	return r
}

// bounded counts the chunks and refuses too many.
func (p *cutter) bounded(ctx context.Context) (int64, error) {
	n, err := p.count(ctx)
	if err == nil && n > MaxChunks {
		err = &PlanTooLargeError{Chunks: n}
	}
	return n, err
}

// count is how often each will yield, found by calculation: it takes no longer for more chunks. Tokens mostly want the same
// range, so the last count is kept.
func (p *cutter) count(ctx context.Context) (sum int64, err error) {
	var last candle.Range
	var n int64
	for _, wanted := range p.request.Wanted {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		for _, r := range wanted.Ranges {
			if r = p.plannable(r); r != last {
				last, n = r, p.cut.count(r, p.step)
			}
			sum += n
		}
	}
	return sum, nil
}

// each yields the range of each chunk, by token and time.
func (p *cutter) each(ctx context.Context, yield func(candle.Token, candle.Range)) error {
	const checked = 1 << 12 // chunks, about a millisecond
	n := 0
	for _, wanted := range p.request.Wanted {
		for _, r := range wanted.Ranges {
			r = p.plannable(r)
			for from := r.From; from < r.To; n++ {
				if n%checked == 0 && ctx.Err() != nil {
					return ctx.Err()
				}
				to := min(r.To, p.cut.At.next(from))
				if to-from > p.step {
					to = from + p.step
				}
				yield(wanted.Token, candle.Range{From: from, To: to})
				from = to
			}
		}
	}
	return nil
}

// count is into how many chunks of at most step seconds the range is cut.
func (c Cut) count(r candle.Range, step int64) (n int64) {
	const day = 24 * 60 * 60
	for from := r.From; from < r.To; {
		to := min(r.To, c.At.next(from))
		if whole := (r.To - from) / day; c.At == EveryDay && to-from == day && whole > 0 {
			n += whole * pieces(day, step)
			from += whole * day
			continue
		}
		n += pieces(to-from, step)
		from = to
	}
	return n
}

// pieces is how many parts of at most step seconds the length, which is above 0, has.
func pieces(length, step int64) int64 { return (length-1)/step + 1 }
