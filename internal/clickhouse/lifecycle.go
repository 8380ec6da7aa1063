package clickhouse

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/google/uuid"

	"quantbot/internal/backfill"
	"quantbot/internal/manifest"
)

// The phases of an attempt in the lifecycle log; with the attempt they are a row's revision.
const (
	phaseRunning = "running"
	phaseEnded   = "ended"
)

// lifecycleRow is a row of ohlcv_run_lifecycle.
type lifecycleRow struct {
	RunID           uuid.UUID  `ch:"run_id"`
	Attempt         uint32     `ch:"attempt"`
	Phase           string     `ch:"phase"`
	StartedAt       time.Time  `ch:"started_at"`
	CompletedAt     *time.Time `ch:"completed_at"`
	Status          string     `ch:"status"`
	ScriptVersion   string     `ch:"script_version"`
	GitCommitHash   string     `ch:"git_commit_hash"`
	GitBranch       string     `ch:"git_branch"`
	GitDirty        *bool      `ch:"git_dirty"`
	CLIArgs         string     `ch:"cli_args"`
	EnvInfo         string     `ch:"env_info"`
	InputHash       string     `ch:"input_hash"`
	SourceTier      uint8      `ch:"source_tier"`
	Fetched         int64      `ch:"candles_fetched"`
	Inserted        int64      `ch:"candles_inserted"`
	Rejected        int64      `ch:"candles_rejected"`
	Deduplicated    int64      `ch:"candles_deduplicated"`
	Shadowed        *int64     `ch:"candles_shadowed"` // nil = not recorded, as with Skipped
	Skipped         *int64     `ch:"candles_skipped"`
	TokensProcessed int64      `ch:"tokens_processed"`
	ErrorsCount     int64      `ch:"errors_count"`
	ErrorMessage    string     `ch:"error_message"`
	ZeroVolume      int64      `ch:"zero_volume_count"`
	DedupMode       string     `ch:"dedup_mode"`
	DedupCompleted  *time.Time `ch:"dedup_completed_at"`
	PlannedChunks   int64      `ch:"planned_chunks"`
	RetriedChunks   int64      `ch:"retried_chunks"`
	CancelledChunks int64      `ch:"cancelled_chunks"`
	Dropped         int64      `ch:"candles_dropped"`
	APICalls        int64      `ch:"api_calls"`
	Credits         int64      `ch:"credits"`
	Source          string     `ch:"source"`
	IntervalSeconds uint32     `ch:"interval_seconds"`
	RangeFrom       time.Time  `ch:"range_from"`
	RangeTo         time.Time  `ch:"range_to"`
	Validation      string     `ch:"validation"`
	StartedBy       string     `ch:"started_by"`
	HaltRejection   float64    `ch:"halt_rejection_rate"`
	Fallbacks       []string   `ch:"fallbacks"`
	MaxCredits      int64      `ch:"max_credits"`
	Priority        string     `ch:"priority"`
	Outliers        string     `ch:"outliers"`
	NoFiles         bool       `ch:"no_published_files"`

	Services     map[string]string `ch:"services"`
	DeploymentID uuid.UUID         `ch:"deployment_id"`
	TypedHash    string            `ch:"typed_hash"`
	Labels       map[string]string `ch:"labels"`
}

// Started writes that the attempt runs. Written late, it hides neither the attempt's end nor a later attempt.
func (db *DB) Started(ctx context.Context, run backfill.Run) error {
	row, err := newLifecycleRow(backfill.RunRecord{Run: run, Status: backfill.StatusRunning}, phaseRunning)
	if err != nil {
		return err
	}
	err = insertStructs(ctx, db, insertLifecycleSQL, []lifecycleRow{row})
	return db.storeError(fmt.Sprintf("write the start of run %s", run.ID()), err)
}

// Finished writes the attempt's end. Only the first end of an attempt counts.
func (db *DB) Finished(ctx context.Context, record backfill.RunRecord) error {
	switch record.Status {
	case backfill.StatusCompleted, backfill.StatusFailed, backfill.StatusCancelled:
	default:
		return fmt.Errorf("write the end of run %s: %q is no end", record.ID(), record.Status)
	}
	row, err := newLifecycleRow(record, phaseEnded)
	if err != nil {
		return err
	}
	err = insertStructs(ctx, db, insertLifecycleSQL, []lifecycleRow{row})
	return db.storeError(fmt.Sprintf("write the end of run %s", record.ID()), err)
}

func newLifecycleRow(record backfill.RunRecord, phase string) (lifecycleRow, error) {
	m := &record.Manifest
	cliArgs, err := jsonObject(m.CLIArgs)
	if err != nil {
		return lifecycleRow{}, fmt.Errorf("encode the arguments of run %s: %w", m.RunID, err)
	}
	envInfo, err := jsonObject(m.EnvInfo)
	if err != nil {
		return lifecycleRow{}, fmt.Errorf("encode the environment of run %s: %w", m.RunID, err)
	}
	shadowed, skipped := Split(record.Stats)
	return lifecycleRow{
		RunID:           m.RunID,
		Attempt:         uint32(record.Attempt),
		Phase:           phase,
		StartedAt:       m.StartedAt,
		CompletedAt:     nullable(record.CompletedAt),
		Status:          string(record.Status),
		ScriptVersion:   m.ScriptVersion,
		GitCommitHash:   m.GitCommitHash,
		GitBranch:       m.GitBranch,
		GitDirty:        m.GitDirty,
		CLIArgs:         cliArgs,
		EnvInfo:         envInfo,
		InputHash:       m.InputHash,
		SourceTier:      uint8(m.SourceTier),
		Fetched:         record.Stats.Fetched,
		Inserted:        record.Stats.Inserted,
		Rejected:        record.Stats.Rejected,
		Deduplicated:    record.Stats.Deduplicated,
		Shadowed:        shadowed,
		Skipped:         skipped,
		TokensProcessed: int64(record.TokensProcessed),
		ErrorsCount:     int64(record.FailedChunks),
		ErrorMessage:    record.ErrorMessage,
		ZeroVolume:      record.Stats.ZeroVolume,
		DedupMode:       string(m.DedupMode),
		DedupCompleted:  nullable(record.DedupCompletedAt),
		PlannedChunks:   int64(record.PlannedChunks),
		RetriedChunks:   int64(record.RetriedChunks),
		CancelledChunks: int64(record.CancelledChunks),
		Dropped:         record.Stats.Dropped,
		APICalls:        record.Stats.APICalls,
		Credits:         record.Stats.Credits,
		Source:          m.Source,
		IntervalSeconds: uint32(m.Interval),
		RangeFrom:       storableTime(m.Range.From),
		RangeTo:         storableTime(m.Range.To),
		Validation:      string(m.Validation),
		StartedBy:       m.StartedBy,
		HaltRejection:   m.HaltRejectionRate,
		Fallbacks:       m.Fallbacks,
		MaxCredits:      m.MaxCredits,
		Priority:        string(cmp.Or(m.Priority, manifest.PriorityNormal)),
		Outliers:        string(m.Outliers),
		NoFiles:         m.NoPublishedFiles,
		Services:        m.Services,
		DeploymentID:    m.DeploymentID,
		TypedHash:       m.TypedHash,
		Labels:          m.Labels,
	}, nil
}

// jsonObject encodes a map, and a nil one as the empty object: readers may rely on finding an object.
func jsonObject[V any](values map[string]V) (string, error) {
	if values == nil {
		return "{}", nil
	}
	encoded, err := json.Marshal(values)
	return string(encoded), err
}
