package candle

import (
	"cmp"
	"fmt"
	"slices"
	"time"
)

// Range is the half-open stretch of time [From, To) in Unix seconds, UTC. It is empty unless From < To.
type Range struct {
	From int64 `json:"from"`
	To   int64 `json:"to"`
}

// Empty reports whether no second lies inside the range.
func (r Range) Empty() bool { return r.From >= r.To }

// Contains reports whether t lies inside the range.
func (r Range) Contains(t int64) bool { return r.From <= t && t < r.To }

// Intersect returns the part of r that lies inside other; it may be empty.
func (r Range) Intersect(other Range) Range {
	return Range{From: max(r.From, other.From), To: min(r.To, other.To)}
}

// Align narrows the range to whole candles: it then holds exactly the candles that open and close inside it.
func (r Range) Align(i Interval) Range {
	return Range{From: i.Ceil(r.From), To: i.Truncate(r.To)}
}

// Candles returns how many candles of the interval open inside the range.
func (r Range) Candles(i Interval) int64 {
	first, end := i.Ceil(r.From), i.Ceil(r.To)
	if first >= end {
		return 0
	}
	return (end - first) / i.Seconds()
}

// String writes the range as [from, to) in RFC 3339.
func (r Range) String() string {
	return fmt.Sprintf("[%s, %s)", FormatTime(r.From), FormatTime(r.To))
}

// FormatTime writes Unix seconds as RFC 3339 in UTC.
func FormatTime(unix int64) string { return time.Unix(unix, 0).UTC().Format(time.RFC3339) }

// Merge returns the union of the ranges as sorted, disjoint, non-adjacent, non-empty ranges. It reorders its argument.
func Merge(ranges []Range) []Range {
	slices.SortFunc(ranges, func(a, b Range) int { return cmp.Compare(a.From, b.From) })
	merged := ranges[:0]
	for _, r := range ranges {
		if r.Empty() {
			continue
		}
		if last := len(merged) - 1; last >= 0 && r.From <= merged[last].To {
			merged[last].To = max(merged[last].To, r.To)
			continue
		}
		merged = append(merged, r)
	}
	return merged
}

// Subtract returns what of the ranges is not covered. Both must be as Merge returns them.
func Subtract(ranges, covered []Range) []Range {
	left := make([]Range, 0, len(ranges))
	for _, r := range ranges {
		for len(covered) > 0 && covered[0].To <= r.From {
			covered = covered[1:]
		}
		for i := 0; i < len(covered) && covered[i].From < r.To; i++ {
			if head := (Range{From: r.From, To: covered[i].From}); !head.Empty() {
				left = append(left, head)
			}
			r.From = covered[i].To
		}
		if !r.Empty() {
			left = append(left, r)
		}
	}
	return left
}

// Intersect returns what lies in both. Both must be as Merge returns them.
func Intersect(a, b []Range) []Range {
	var both []Range
	for i, j := 0, 0; i < len(a) && j < len(b); {
		if r := a[i].Intersect(b[j]); !r.Empty() {
			both = append(both, r)
		}
		if a[i].To < b[j].To {
			i++
		} else {
			j++
		}
	}
	return both
}
