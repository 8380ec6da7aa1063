package backfill

import (
	"cmp"
	"encoding/json"
	"fmt"
	"time"

	"github.com/google/uuid"

	"quantbot/internal/candle"
	"quantbot/internal/manifest"
)

// RunRow is a run as the view ohlcv_ingestion_runs shows it, and as commands and pages print it. This is the one list of its
// columns: statements name them by these tags, in this order, which is the view's; the JSON keys are the same names.
type RunRow struct {
	RunID               uuid.UUID       `json:"run_id" ch:"run_id"`
	StartedAt           time.Time       `json:"started_at" ch:"started_at"`
	CompletedAt         *time.Time      `json:"completed_at" ch:"completed_at"` // nil while running
	Status              string          `json:"status" ch:"status"`
	ScriptVersion       string          `json:"script_version" ch:"script_version"`
	GitCommitHash       string          `json:"git_commit_hash" ch:"git_commit_hash"`
	GitBranch           string          `json:"git_branch" ch:"git_branch"`
	GitDirty            *bool           `json:"git_dirty" ch:"git_dirty"` // nil = unknown
	CLIArgs             json.RawMessage `json:"cli_args" ch:"cli_args"`   // an object
	EnvInfo             json.RawMessage `json:"env_info" ch:"env_info"`   // an object
	InputHash           string          `json:"input_hash" ch:"input_hash"`
	SourceTier          uint8           `json:"source_tier" ch:"source_tier"`
	CandlesFetched      int64           `json:"candles_fetched" ch:"candles_fetched"`
	CandlesInserted     int64           `json:"candles_inserted" ch:"candles_inserted"`
	CandlesRejected     int64           `json:"candles_rejected" ch:"candles_rejected"`
	CandlesDeduplicated int64           `json:"candles_deduplicated" ch:"candles_deduplicated"`
	TokensProcessed     int64           `json:"tokens_processed" ch:"tokens_processed"`
	ErrorsCount         int64           `json:"errors_count" ch:"errors_count"`
	ErrorMessage        string          `json:"error_message" ch:"error_message"`
	ZeroVolumeCount     int64           `json:"zero_volume_count" ch:"zero_volume_count"`
	DedupMode           string          `json:"dedup_mode" ch:"dedup_mode"`
	DedupCompletedAt    *time.Time      `json:"dedup_completed_at" ch:"dedup_completed_at"`
	Attempt             uint32          `json:"attempt" ch:"attempt"`
	PlannedChunks       int64           `json:"planned_chunks" ch:"planned_chunks"`
	RetriedChunks       int64           `json:"retried_chunks" ch:"retried_chunks"`
	CancelledChunks     int64           `json:"cancelled_chunks" ch:"cancelled_chunks"`
	CandlesDropped      int64           `json:"candles_dropped" ch:"candles_dropped"`
	APICalls            int64           `json:"api_calls" ch:"api_calls"`
	Credits             int64           `json:"credits" ch:"credits"`
	Source              string          `json:"source" ch:"source"`
	Interval            string          `json:"interval" ch:"interval"`
	RangeFrom           time.Time       `json:"range_from" ch:"range_from"`
	RangeTo             time.Time       `json:"range_to" ch:"range_to"`
	Validation          string          `json:"validation" ch:"validation"`
	StartedBy           string          `json:"started_by" ch:"started_by"`
	HaltRejectionRate   float64         `json:"halt_rejection_rate" ch:"halt_rejection_rate"`
	Fallbacks           []string        `json:"fallbacks" ch:"fallbacks"`
	MaxCredits          int64           `json:"max_credits" ch:"max_credits"`
	Priority            string          `json:"priority" ch:"priority"`
	Outliers            string          `json:"outliers" ch:"outliers"` // empty = not recorded
	NoPublishedFiles    bool            `json:"no_published_files" ch:"no_published_files"`
	// Services are the hosts that sources were asked at, by the sources' names.
	Services     map[string]string `json:"services" ch:"services"`
	DeploymentID uuid.UUID         `json:"deployment_id" ch:"deployment_id"` // zero = not recorded
	// CandlesShadowed and CandlesSkipped are the deduplicated candles that are stored and those that are not; nil = not recorded.
	CandlesShadowed *int64 `json:"candles_shadowed" ch:"candles_shadowed"`
	CandlesSkipped  *int64 `json:"candles_skipped" ch:"candles_skipped"`
	TypedHash       string `json:"typed_hash" ch:"typed_hash"` // empty = no time of the request was relative, or not recorded
	// Labels are what the run was given for people to find it by.
	Labels map[string]string `json:"labels" ch:"labels"`
}

// NewRunRow returns the row of a record, as the view shows it once it is written.
func NewRunRow(record RunRecord) (RunRow, error) {
	m := &record.Manifest
	cliArgs, err := jsonObject(m.CLIArgs)
	if err != nil {
		return RunRow{}, fmt.Errorf("encode the arguments of run %s: %w", m.RunID, err)
	}
	envInfo, err := jsonObject(m.EnvInfo)
	if err != nil {
		return RunRow{}, fmt.Errorf("encode the environment of run %s: %w", m.RunID, err)
	}
	shadowed, skipped := record.Stats.Split()
	return RunRow{
		RunID:               m.RunID,
		StartedAt:           m.StartedAt,
		CompletedAt:         nullable(record.CompletedAt),
		Status:              string(record.Status),
		ScriptVersion:       m.ScriptVersion,
		GitCommitHash:       m.GitCommitHash,
		GitBranch:           m.GitBranch,
		GitDirty:            m.GitDirty,
		CLIArgs:             cliArgs,
		EnvInfo:             envInfo,
		InputHash:           m.InputHash,
		SourceTier:          uint8(m.SourceTier),
		CandlesFetched:      record.Stats.Fetched,
		CandlesInserted:     record.Stats.Inserted,
		CandlesRejected:     record.Stats.Rejected,
		CandlesDeduplicated: record.Stats.Deduplicated,
		TokensProcessed:     int64(record.TokensProcessed),
		ErrorsCount:         int64(record.FailedChunks),
		ErrorMessage:        record.ErrorMessage,
		ZeroVolumeCount:     record.Stats.ZeroVolume,
		DedupMode:           string(m.DedupMode),
		DedupCompletedAt:    nullable(record.DedupCompletedAt),
		Attempt:             uint32(max(record.Attempt, 0)),
		PlannedChunks:       int64(record.PlannedChunks),
		RetriedChunks:       int64(record.RetriedChunks),
		CancelledChunks:     int64(record.CancelledChunks),
		CandlesDropped:      record.Stats.Dropped,
		APICalls:            record.Stats.APICalls,
		Credits:             record.Stats.Credits,
		Source:              m.Source,
		Interval:            m.Interval.String(),
		RangeFrom:           time.Unix(m.Range.From, 0).UTC(),
		RangeTo:             time.Unix(m.Range.To, 0).UTC(),
		Validation:          string(m.Validation),
		StartedBy:           m.StartedBy,
		HaltRejectionRate:   m.HaltRejectionRate,
		Fallbacks:           m.Fallbacks,
		MaxCredits:          m.MaxCredits,
		Priority:            string(cmp.Or(m.Priority, manifest.PriorityNormal)),
		Outliers:            string(m.Outliers),
		NoPublishedFiles:    m.NoPublishedFiles,
		Services:            m.Services,
		DeploymentID:        m.DeploymentID,
		CandlesShadowed:     shadowed,
		CandlesSkipped:      skipped,
		TypedHash:           m.TypedHash,
		Labels:              m.Labels,
	}, nil
}

// jsonObject encodes a map, and a nil one as the empty object: readers may rely on finding an object.
func jsonObject[V any](values map[string]V) (json.RawMessage, error) {
	if values == nil {
		return json.RawMessage("{}"), nil
	}
	return json.Marshal(values)
}

// TakeLive puts the ledger's counts of the attempt that is going on into the row of a running run, which has none before it
// ends. What the ledger does not count (tokens, calls, dropped candles) stays zero.
func (r *RunRow) TakeLive(s LedgerState) {
	p := s.Progress
	r.CandlesFetched, r.CandlesInserted, r.CandlesRejected = p.Fetched, p.Inserted, p.Rejected
	r.CandlesDeduplicated = p.Fetched - p.Inserted - p.Rejected // holds for every outcome, so for their sum
	r.ErrorsCount, r.CancelledChunks = p.Failed, p.Cancelled
	stats := r.Stats()
	if stats.Shadowed, stats.Skipped = 0, 0; r.DedupMode != string(manifest.DedupInline) {
		stats.Skipped = stats.Deduplicated // before the run's end nothing else is
	}
	r.CandlesShadowed, r.CandlesSkipped = stats.Split()
}

// Record turns the row back into what the heart works with.
func (r *RunRow) Record() (RunRecord, error) {
	m, err := r.manifest()
	if err != nil {
		return RunRecord{}, fmt.Errorf("read the row of run %s: %w", r.RunID, err)
	}
	return RunRecord{
		Run:         r.run(m),
		Status:      RunStatus(r.Status),
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
func (r *RunRow) Stats() Stats {
	return Stats{
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

func (r *RunRow) run(m manifest.Manifest) Run {
	return Run{
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

func nullable(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

func orZero(t *time.Time) time.Time {
	if t == nil {
		return time.Time{}
	}
	return t.UTC()
}

func orNone(n *int64) int64 {
	if n == nil {
		return 0
	}
	return *n
}
