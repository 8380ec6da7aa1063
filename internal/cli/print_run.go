package cli

import (
	"fmt"
	"strconv"
	"time"

	"quantbot/internal/backfill"
	"quantbot/internal/manifest"
)

func took(r backfill.RunRow) string {
	if r.CompletedAt == nil {
		return ""
	}
	return r.CompletedAt.Sub(r.StartedAt).Round(100 * time.Millisecond).String()
}

// commit is the short hash, with + when the checkout had changes and ? when nobody knows.
func commit(r backfill.RunRow) string {
	hash := r.GitCommitHash
	if len(hash) > 9 && hash != manifest.Unknown {
		hash = hash[:9]
	}
	switch {
	case r.GitDirty == nil:
		return hash + "?"
	case *r.GitDirty:
		return hash + "+"
	}
	return hash
}

// printRun prints the outcome of a run in a few lines.
func (a *app) printRun(r backfill.RunRow) {
	text := fmt.Sprintf("Run %s %s", r.RunID, r.Status)
	if r.CompletedAt != nil {
		text += " after " + took(r)
	}
	a.say(text)
	a.printFields(statFields(r))
}

func statFields(r backfill.RunRow) []field {
	identity := "holds"
	if !r.Stats().Balanced() {
		identity = "BROKEN: report this"
	}
	fields := []field{
		{"chunks", fmt.Sprintf("%d, %d failed, %d cancelled", r.PlannedChunks, r.ErrorsCount, r.CancelledChunks)},
		{"candles", fmt.Sprintf("%d fetched = %d inserted + %d rejected + %d deduplicated (identity %s)",
			r.CandlesFetched, r.CandlesInserted, r.CandlesRejected, r.CandlesDeduplicated, identity)},
		{"deduplicated", deduplicatedText(r)},
	}
	if r.Status == string(backfill.StatusRunning) {
		return append(fields, field{"the rest", "is counted when it ends"})
	}
	return append(fields, []field{
		{"tokens", strconv.FormatInt(r.TokensProcessed, 10)},
		{"zero volume", strconv.FormatInt(r.ZeroVolumeCount, 10)},
		{"dropped", fmt.Sprintf("%d (outside the range or not closed)", r.CandlesDropped)},
		{"api", counted(r.APICalls, "call") + ", " + counted(r.Credits, "credit")},
		{"error", r.ErrorMessage},
	}...)
}

// deduplicatedText says which of the deduplicated candles are stored.
func deduplicatedText(r backfill.RunRow) string {
	switch {
	case r.CandlesDeduplicated == 0 || r.Status == string(backfill.StatusRunning):
		return ""
	case r.CandlesShadowed == nil || r.CandlesSkipped == nil:
		return "not recorded how many of them are stored"
	}
	return fmt.Sprintf("%d shadowed (stored, adds nothing over what other runs serve) + %d skipped (not stored)", *r.CandlesShadowed, *r.CandlesSkipped)
}

// printRunning prints the row of a run that goes on, for the time until the history's view has it.
func (a *app) printRunning(run backfill.Run) error {
	row, err := backfill.NewRunRow(backfill.RunRecord{Run: run, Status: backfill.StatusRunning})
	if err != nil {
		return err
	}
	return a.printJSON(row)
}
