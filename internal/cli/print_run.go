package cli

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"quantbot/internal/backfill"
	"quantbot/internal/clickhouse"
	"quantbot/internal/manifest"
)

func took(r clickhouse.RunRow) string {
	if r.CompletedAt == nil {
		return ""
	}
	return r.CompletedAt.Sub(r.StartedAt).Round(100 * time.Millisecond).String()
}

// commit is the short hash, with + when the checkout had changes and ? when nobody knows.
func commit(r clickhouse.RunRow) string {
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
func (a *app) printRun(r clickhouse.RunRow) {
	text := fmt.Sprintf("Run %s %s", r.RunID, r.Status)
	if r.CompletedAt != nil {
		text += " after " + took(r)
	}
	a.say(text)
	a.printFields(statFields(r))
}

func statFields(r clickhouse.RunRow) []field {
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
func deduplicatedText(r clickhouse.RunRow) string {
	switch {
	case r.CandlesDeduplicated == 0 || r.Status == string(backfill.StatusRunning):
		return ""
	case r.CandlesShadowed == nil || r.CandlesSkipped == nil:
		return "not recorded how many of them are stored"
	}
	return fmt.Sprintf("%d shadowed (stored, adds nothing over what other runs serve) + %d skipped (not stored)", *r.CandlesShadowed, *r.CandlesSkipped)
}

// rowOf shows a record as the history's view would, for the time until it is there.
func rowOf(record backfill.RunRecord) clickhouse.RunRow {
	m := record.Manifest
	row := clickhouse.RunRow{
		RunID: m.RunID, StartedAt: m.StartedAt, Status: string(record.Status), ScriptVersion: m.ScriptVersion,
		GitCommitHash: m.GitCommitHash, GitBranch: m.GitBranch, GitDirty: m.GitDirty,
		CLIArgs: object(m.CLIArgs), EnvInfo: object(m.EnvInfo), InputHash: m.InputHash, TypedHash: m.TypedHash, SourceTier: uint8(m.SourceTier),
		CandlesFetched: record.Stats.Fetched, CandlesInserted: record.Stats.Inserted, CandlesRejected: record.Stats.Rejected,
		CandlesDeduplicated: record.Stats.Deduplicated, TokensProcessed: int64(record.TokensProcessed),
		ErrorsCount: int64(record.FailedChunks), ErrorMessage: record.ErrorMessage, ZeroVolumeCount: record.Stats.ZeroVolume,
		DedupMode: string(m.DedupMode), Attempt: uint32(max(record.Attempt, 0)), PlannedChunks: int64(record.PlannedChunks),
		CancelledChunks: int64(record.CancelledChunks), CandlesDropped: record.Stats.Dropped, APICalls: record.Stats.APICalls,
		Credits: record.Stats.Credits, Source: m.Source, Fallbacks: m.Fallbacks, MaxCredits: m.MaxCredits, Interval: m.Interval.String(),
		RangeFrom: time.Unix(m.Range.From, 0).UTC(), RangeTo: time.Unix(m.Range.To, 0).UTC(),
		Validation: string(m.Validation), StartedBy: m.StartedBy, Priority: string(m.Priority), RetriedChunks: int64(record.RetriedChunks), HaltRejectionRate: m.HaltRejectionRate,
		Outliers: string(m.Outliers), NoPublishedFiles: m.NoPublishedFiles, Services: m.Services, DeploymentID: m.DeploymentID, Labels: m.Labels,
	}
	row.CandlesShadowed, row.CandlesSkipped = clickhouse.Split(record.Stats)
	if !record.DedupCompletedAt.IsZero() {
		row.DedupCompletedAt = &record.DedupCompletedAt
	}
	if !record.CompletedAt.IsZero() {
		row.CompletedAt = &record.CompletedAt
	}
	return row
}

func object(v any) json.RawMessage {
	encoded, err := json.Marshal(v)
	if err != nil || strings.EqualFold(string(encoded), "null") {
		return json.RawMessage("{}")
	}
	return slices.Clip(encoded)
}
