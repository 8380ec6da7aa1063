package coverage

import "quantbot/internal/candle"

// VerdictCounts counts the candles that could open in a stretch of time by what is known of them.
type VerdictCounts struct {
	Range candle.Range `json:"range"`
	// Candles by verdict; verdicts without one are left out.
	Candles map[Verdict]int64 `json:"candles"`
	// Stale is how many of those that are not there a plan would fetch now.
	Stale int64 `json:"due"`
}

// Total is how many candles could open in the stretch and were judged.
func (t VerdictCounts) Total() (total int64) {
	for _, n := range t.Candles {
		total += n
	}
	return total
}

// Most is the verdict with the most candles, of equals the better one; NeverAsked where nothing was judged.
func (t VerdictCounts) Most() Verdict {
	most, candles := NeverAsked, int64(0)
	for _, verdict := range Verdicts() {
		if t.Candles[verdict] > candles {
			most, candles = verdict, t.Candles[verdict]
		}
	}
	return most
}

// add counts the part of a judged stretch that opens inside the stretch of the counts.
func (t *VerdictCounts) add(j VerdictSpan, interval candle.Interval) {
	opens := j.Range.Intersect(t.Range).Candles(interval)
	if opens == 0 {
		return
	}
	t.Candles[j.Verdict] += opens
	if j.Stale && j.Verdict != Have {
		t.Stale += opens
	}
}

// CountVerdicts cuts the range at the multiples of step (seconds since 1970, UTC) and counts each piece. judged must be in order
// of time, as Judge returns it.
func CountVerdicts(judged []VerdictSpan, interval candle.Interval, r candle.Range, step int64) []VerdictCounts {
	var counts []VerdictCounts
	for from := r.From; from < r.To; {
		next := min(from-from%step+step, r.To)
		t := VerdictCounts{Range: candle.Range{From: from, To: next}, Candles: make(map[Verdict]int64)}
		for len(judged) > 0 && judged[0].Range.To <= from {
			judged = judged[1:]
		}
		for i := 0; i < len(judged) && judged[i].Range.From < next; i++ {
			t.add(judged[i], interval)
		}
		counts = append(counts, t)
		from = next
	}
	return counts
}
