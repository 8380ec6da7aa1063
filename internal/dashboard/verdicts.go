package dashboard

import (
	"fmt"
	"strings"

	"quantbot/internal/coverage"
)

// verdictLook is how a verdict is shown: never by its colour alone.
type verdictLook struct {
	Verdict coverage.Verdict
	// Class carries the colour.
	Class string
	// Sign is the letter that stands in a cell, as the command line's bar has it.
	Sign string
	Name string
	// Means explains it in the legend.
	Means string
}

// verdictLooks are in the order of backfill.Verdicts.
var verdictLooks = []verdictLook{
	{coverage.Have, "v-have", "", "have", "the candle is there"},
	{coverage.RolledBack, "v-rolled-back", "b", "rolled back", "answered by runs alone that are rolled back"},
	{coverage.RejectedCandle, "v-rejected", "r", "rejected", "the source's candle was corrupt; asked for again after a day"},
	{coverage.FailedToFetch, "v-failed", "x", "failed", "the source gave no answer"},
	{coverage.CancelledChunk, "v-cancelled", "c", "cancelled", "the run was cancelled before the source was asked"},
	{coverage.Unconfirmed, "v-unconfirmed", "?", "unconfirmed", "no candle, from a source that never had one of the token; asked for again after a day"},
	{coverage.ConfirmedEmpty, "v-empty", "·", "confirmed empty", "the source has no candle there; asked for once more after a week where it was young"},
	{coverage.NeverAsked, "v-never", "", "never asked", "no run has asked for it"},
}

func lookOf(verdict coverage.Verdict) verdictLook {
	for _, look := range verdictLooks {
		if look.Verdict == verdict {
			return look
		}
	}
	return verdictLook{Verdict: verdict, Name: string(verdict)}
}

// countsText says what the counts are: "1 200 have, 240 confirmed empty; 240 would be fetched".
func countsText(t coverage.VerdictCounts) string {
	var parts []string
	for _, look := range verdictLooks {
		if n := t.Candles[look.Verdict]; n > 0 {
			parts = append(parts, formatCount(n)+" "+look.Name)
		}
	}
	if len(parts) == 0 {
		return "nothing yet"
	}
	text := strings.Join(parts, ", ")
	if t.Stale > 0 {
		text += fmt.Sprintf("; %s would be fetched now", formatCount(t.Stale))
	}
	return text
}

// countsPart is the share of one verdict, as a piece of a column of 100.
type countsPart struct {
	Class  string
	Y      float64
	Height float64
}

// leastPart is how high a verdict is at least, so that one candle in a thousand is seen.
const leastPart = 8.0

// countsParts stack the verdicts, the best at the bottom.
func countsParts(t coverage.VerdictCounts) (parts []countsPart) {
	total, excess, highest := float64(t.Total()), -100.0, 0
	for _, look := range verdictLooks {
		if n := t.Candles[look.Verdict]; n > 0 {
			height := max(100*float64(n)/total, leastPart)
			excess += height
			parts = append(parts, countsPart{Class: look.Class, Height: height})
			if height > parts[highest].Height {
				highest = len(parts) - 1
			}
		}
	}
	top := 100.0
	for i := range parts {
		if i == highest { // has the most to give
			parts[i].Height -= excess
		}
		top -= parts[i].Height
		parts[i].Y, parts[i].Height = round2(max(top, 0)), round2(parts[i].Height)
	}
	return parts
}
