package clickhouse

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/google/uuid"

	"quantbot/internal/backfill"
	"quantbot/internal/candle"
	"quantbot/internal/manifest"
)

// RunRow is a row of the view ohlcv_ingestion_runs: its JSON keys are the view's columns, in the view's order.
type RunRow struct {
	RunID               uuid.UUID       `json:"run_id"`
	StartedAt           time.Time       `json:"started_at"`
	CompletedAt         *time.Time      `json:"completed_at"` // nil while running
	Status              string          `json:"status"`
	ScriptVersion       string          `json:"script_version"`
	GitCommitHash       string          `json:"git_commit_hash"`
	GitBranch           string          `json:"git_branch"`
	GitDirty            *bool           `json:"git_dirty"` // nil = unknown
	CLIArgs             json.RawMessage `json:"cli_args"`  // an object
	EnvInfo             json.RawMessage `json:"env_info"`  // an object
	InputHash           string          `json:"input_hash"`
	SourceTier          uint8           `json:"source_tier"`
	CandlesFetched      int64           `json:"candles_fetched"`
	CandlesInserted     int64           `json:"candles_inserted"`
	CandlesRejected     int64           `json:"candles_rejected"`
	CandlesDeduplicated int64           `json:"candles_deduplicated"`
	TokensProcessed     int64           `json:"tokens_processed"`
	ErrorsCount         int64           `json:"errors_count"`
	ErrorMessage        string          `json:"error_message"`
	ZeroVolumeCount     int64           `json:"zero_volume_count"`
	DedupMode           string          `json:"dedup_mode"`
	DedupCompletedAt    *time.Time      `json:"dedup_completed_at"`
	Attempt             uint32          `json:"attempt"`
	PlannedChunks       int64           `json:"planned_chunks"`
	RetriedChunks       int64           `json:"retried_chunks"`
	CancelledChunks     int64           `json:"cancelled_chunks"`
	CandlesDropped      int64           `json:"candles_dropped"`
	APICalls            int64           `json:"api_calls"`
	Credits             int64           `json:"credits"`
	Source              string          `json:"source"`
	Interval            string          `json:"interval"`
	RangeFrom           time.Time       `json:"range_from"`
	RangeTo             time.Time       `json:"range_to"`
	Validation          string          `json:"validation"`
	StartedBy           string          `json:"started_by"`
	HaltRejectionRate   float64         `json:"halt_rejection_rate"`
	Fallbacks           []string        `json:"fallbacks"`
	MaxCredits          int64           `json:"max_credits"`
	Priority            string          `json:"priority"`
	Outliers            string          `json:"outliers"` // empty = not recorded
	NoPublishedFiles    bool            `json:"no_published_files"`
	// Services are the hosts that sources were asked at, by the sources' names.
	Services     map[string]string `json:"services"`
	DeploymentID uuid.UUID         `json:"deployment_id"` // zero = not recorded
	// CandlesShadowed and CandlesSkipped are the deduplicated candles that are stored and those that are not; nil = not recorded.
	CandlesShadowed *int64 `json:"candles_shadowed"`
	CandlesSkipped  *int64 `json:"candles_skipped"`
	TypedHash       string `json:"typed_hash"` // empty = no time of the request was relative, or not recorded
	// Labels are what the run was given for people to find it by.
	Labels map[string]string `json:"labels"`
}

// columns are the scan destinations, in the order of run.sql, runs.sql and unfinished.sql.
func (r *RunRow) columns(cliArgs, envInfo *string) []any {
	return []any{
		&r.RunID, &r.StartedAt, &r.CompletedAt, &r.Status,
		&r.ScriptVersion, &r.GitCommitHash, &r.GitBranch, &r.GitDirty, cliArgs, envInfo, &r.InputHash, &r.SourceTier,
		&r.CandlesFetched, &r.CandlesInserted, &r.CandlesRejected, &r.CandlesDeduplicated,
		&r.TokensProcessed, &r.ErrorsCount, &r.ErrorMessage, &r.ZeroVolumeCount, &r.DedupMode, &r.DedupCompletedAt,
		&r.Attempt, &r.PlannedChunks, &r.RetriedChunks, &r.CancelledChunks, &r.CandlesDropped, &r.APICalls, &r.Credits,
		&r.Source, &r.Interval, &r.RangeFrom, &r.RangeTo, &r.Validation, &r.StartedBy, &r.HaltRejectionRate,
		&r.Fallbacks, &r.MaxCredits, &r.Priority, &r.Outliers, &r.NoPublishedFiles, &r.Services, &r.DeploymentID,
		&r.CandlesShadowed, &r.CandlesSkipped, &r.TypedHash, &r.Labels,
	}
}

// TakeLive puts the ledger's counts of the attempt that is going on into the row of a running run, which has none before it
// ends. What the ledger does not count (tokens, calls, dropped candles) stays nought.
func (r *RunRow) TakeLive(s backfill.LedgerState) {
	p := s.Progress
	r.CandlesFetched, r.CandlesInserted, r.CandlesRejected = p.Fetched, p.Inserted, p.Rejected
	r.CandlesDeduplicated = p.Fetched - p.Inserted - p.Rejected // holds for every outcome, so for their sum
	r.ErrorsCount, r.CancelledChunks = p.Failed, p.Cancelled
	stats := r.Stats()
	if stats.Shadowed, stats.Skipped = 0, 0; r.DedupMode != string(manifest.DedupInline) {
		stats.Skipped = stats.Deduplicated // before the run's end nothing else is
	}
	r.CandlesShadowed, r.CandlesSkipped = Split(stats)
}

// Record turns the row back into what the heart works with.
func (r *RunRow) Record() (backfill.RunRecord, error) {
	m, err := r.manifest()
	if err != nil {
		return backfill.RunRecord{}, fmt.Errorf("read the row of run %s: %w", r.RunID, err)
	}
	return backfill.RunRecord{
		Run:         r.run(m),
		Status:      backfill.RunStatus(r.Status),
		CompletedAt: orZero(r.CompletedAt),
		Stats:       r.Stats(),

		TokensProcessed: int(r.TokensProcessed),
		FailedChunks:    int(r.ErrorsCount),
		CancelledChunks: int(r.CancelledChunks),
		ErrorMessage:    r.ErrorMessage,

		DedupCompletedAt: orZero(r.DedupCompletedAt),
	}, nil
}

// Stats are the row's counts.
func (r *RunRow) Stats() backfill.Stats {
	return backfill.Stats{
		Fetched:      r.CandlesFetched,
		Inserted:     r.CandlesInserted,
		Rejected:     r.CandlesRejected,
		Deduplicated: r.CandlesDeduplicated,
		Shadowed:     orNone(r.CandlesShadowed),
		Skipped:      orNone(r.CandlesSkipped),
		ZeroVolume:   r.ZeroVolumeCount,
		Dropped:      r.CandlesDropped,
		APICalls:     r.APICalls,
		Credits:      r.Credits,
	}
}

func (r *RunRow) run(m manifest.Manifest) backfill.Run {
	return backfill.Run{
		Manifest:      m,
		Attempt:       int(r.Attempt),
		PlannedChunks: int(r.PlannedChunks),
		RetriedChunks: int(r.RetriedChunks),
	}
}

func (r *RunRow) manifest() (manifest.Manifest, error) {
	interval, err := candle.ParseInterval(r.Interval)
	if err != nil {
		return manifest.Manifest{}, err
	}
	m := manifest.Manifest{
		RunID:         r.RunID,
		StartedAt:     r.StartedAt.UTC(),
		StartedBy:     r.StartedBy,
		ScriptVersion: r.ScriptVersion,
		GitCommitHash: r.GitCommitHash,
		GitBranch:     r.GitBranch,
		GitDirty:      r.GitDirty,
		InputHash:     r.InputHash,
		TypedHash:     r.TypedHash,
		Labels:        r.Labels,
		Source:        r.Source,
		Fallbacks:     r.Fallbacks,
		MaxCredits:    r.MaxCredits,
		Priority:      manifest.Priority(r.Priority),
		Interval:      interval,
		Range:         candle.Range{From: r.RangeFrom.Unix(), To: r.RangeTo.Unix()},
		Validation:    candle.Validation(r.Validation),

		HaltRejectionRate: r.HaltRejectionRate,
		Outliers:          manifest.Outliers(r.Outliers),
		NoPublishedFiles:  r.NoPublishedFiles,
		Services:          r.Services,
		DeploymentID:      r.DeploymentID,
		DedupMode:         manifest.DedupMode(r.DedupMode),
		SourceTier:        candle.SourceTier(r.SourceTier),
	}
	if err := json.Unmarshal(r.CLIArgs, &m.CLIArgs); err != nil {
		return manifest.Manifest{}, fmt.Errorf("decode cli_args: %w", err)
	}
	if err := json.Unmarshal(r.EnvInfo, &m.EnvInfo); err != nil {
		return manifest.Manifest{}, fmt.Errorf("decode env_info: %w", err)
	}
	return m, nil
}

// Unfinished lists the runs whose latest attempt has started and not ended, oldest first.
func (db *DB) Unfinished(ctx context.Context) ([]backfill.Run, error) {
	rows, err := db.runRows(ctx, unfinishedSQL)
	if err != nil {
		return nil, db.storeError("list unfinished runs", err)
	}
	runs := make([]backfill.Run, len(rows))
	for i := range rows {
		record, err := rows[i].Record()
		if err != nil {
			return nil, err
		}
		runs[i] = record.Run
	}
	return runs, nil
}

// Run returns the run's latest record, or backfill.ErrUnknownRun.
func (db *DB) Run(ctx context.Context, runID uuid.UUID) (backfill.RunRecord, error) {
	row, err := db.RunDetails(ctx, runID)
	if err != nil {
		return backfill.RunRecord{}, err
	}
	return row.Record()
}

// RunDetails returns the run's row, or backfill.ErrUnknownRun.
func (db *DB) RunDetails(ctx context.Context, runID uuid.UUID) (RunRow, error) {
	rows, err := db.runRows(ctx, runSQL, named("run_id", runID))
	if err != nil {
		return RunRow{}, db.storeError(fmt.Sprintf("read run %s", runID), err)
	}
	if len(rows) == 0 {
		return RunRow{}, fmt.Errorf("read run %s: %w", runID, backfill.ErrUnknownRun)
	}
	return rows[0], nil
}

// EndMoment is from when on CandlesAsOf and Served show all that the run stored; the run must have ended.
func (db *DB) EndMoment(ctx context.Context, runID uuid.UUID) (at time.Time, err error) {
	ctx, cancel := context.WithTimeout(ctx, queryTimeout)
	defer cancel()
	err = db.conn.QueryRow(ctx, endMomentSQL, named("run_id", runID)).Scan(&at)
	return at, db.storeError(fmt.Sprintf("read when run %s ended", runID), err)
}

// RunFilter narrows Runs; a zero field is no condition.
type RunFilter struct {
	Status    backfill.RunStatus
	Since     time.Time // of the run's start, inclusive
	InputHash string
	// Source was asked, first or as a fallback.
	Source string
	// User is who started it, with or without the host.
	User string
	// Labels are names and values that it has, all of them.
	Labels map[string]string
	// Token was planned for it; an empty chain stands for any.
	Token candle.Token
	Limit int // 0 = DefaultRunLimit
}

// DefaultRunLimit is how many runs Runs returns unless told otherwise.
const DefaultRunLimit = 20

// Runs lists runs, the newest first.
func (db *DB) Runs(ctx context.Context, filter RunFilter) ([]RunRow, error) {
	limit := filter.Limit
	if limit <= 0 {
		limit = DefaultRunLimit
	}
	names := slices.Sorted(maps.Keys(filter.Labels))
	values := make([]string, len(names))
	for i, name := range names {
		values[i] = filter.Labels[name]
	}
	rows, err := db.runRows(ctx, runsSQL,
		named("source", filter.Source), named("user", filter.User), named("label_names", names), named("label_values", values),
		named("chain", string(filter.Token.Chain)), named("address", filter.Token.Address),
		named("status", string(filter.Status)),
		named("input_hash", filter.InputHash),
		named("since", max(filter.Since.UnixMilli(), 0)), // the zero time lies before what the column holds
		named("limit", limit))
	return rows, db.storeError("list runs", err)
}
