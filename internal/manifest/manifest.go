// Package manifest records what a run is: its id, the code that ran, the arguments and environment it was given, and a
// hash of its resolved input. A manifest is made once, by the enqueuer, and travels with the run through ledger, history
// and every worker.
package manifest

import (
	"fmt"
	"time"

	"github.com/google/uuid"

	"quantbot/internal/candle"
)

// DedupMode says when a run removes candles that bring nothing over what other runs serve.
type DedupMode string

// The dedup modes. DedupNone leaves it to the sweep.
const (
	DedupNone      DedupMode = "none"
	DedupInline    DedupMode = "inline"
	DedupPostBatch DedupMode = "post-batch"
)

// ParseDedupMode reads "none", "inline" or "post-batch".
func ParseDedupMode(s string) (DedupMode, error) {
	switch mode := DedupMode(s); mode {
	case DedupNone, DedupInline, DedupPostBatch:
		return mode, nil
	}
	return "", fmt.Errorf("unknown dedup mode %q (known: none, inline, post-batch)", s)
}

// Manifest is the identity of a run. It holds no secret: New redacts CLIArgs, Environment makes EnvInfo.
type Manifest struct {
	RunID uuid.UUID `json:"run_id"`
	// StartedAt is when the enqueuer made the manifest, UTC, in milliseconds; it decides which run is the newer one.
	StartedAt time.Time `json:"started_at"`
	// StartedBy is user@host of the enqueuer.
	StartedBy     string `json:"started_by"`
	ScriptVersion string `json:"script_version"`
	GitCommitHash string `json:"git_commit_hash"`
	GitBranch     string `json:"git_branch"`
	// GitDirty is nil when unknown.
	GitDirty *bool `json:"git_dirty"`
	// CLIArgs are the run's arguments, each flag with its effective value.
	CLIArgs map[string]any `json:"cli_args"`
	// EnvInfo is the allow-listed environment, with secrets as ***.
	EnvInfo map[string]string `json:"env_info"`
	// InputHash is the SHA-256, in hex, of the canonical request including the resolved worklist.
	InputHash string `json:"input_hash"`
	// TypedHash is the same of the request with its times as they were typed (-7d, now); empty where neither is relative. The
	// same request of a moment later has another InputHash.
	TypedHash string `json:"typed_hash,omitempty"`
	// Labels are names and values by which people find the run again.
	Labels map[string]string `json:"labels,omitempty"`

	// What workers need to fill the run's chunks.
	Source string `json:"source"`
	// Fallbacks are asked in turn where the source has nothing.
	Fallbacks  []string          `json:"fallbacks,omitempty"`
	Interval   candle.Interval   `json:"interval"`
	Range      candle.Range      `json:"range"`
	Validation candle.Validation `json:"validation"`
	DedupMode  DedupMode         `json:"dedup_mode"`
	SourceTier candle.SourceTier `json:"source_tier"`
	// HaltRejectionRate is the share of rejected candles, 0 to 1, above which the run halts; 0 = never.
	HaltRejectionRate float64 `json:"halt_rejection_rate"`
	// MaxCredits is how many credits an attempt may use before it halts; 0 = any number.
	MaxCredits int64 `json:"max_credits,omitempty"`
	// Priority is that of the run's chunks among those of other runs.
	Priority Priority `json:"priority,omitempty"`
	// Outliers says what a source that can filter unlikely prices is asked to do with them; empty, in manifests made before
	// it was recorded, means that the source's default of the day held.
	Outliers Outliers `json:"outliers,omitempty"`
	// NoPublishedFiles leaves files out that a source publishes beside its API.
	NoPublishedFiles bool `json:"no_published_files,omitempty"`
	// Services is the host that each source was asked at, by the source's name; empty in manifests made before it was recorded.
	Services map[string]string `json:"services,omitempty"`
	// DeploymentID is the deployment that the run belongs to; zero in manifests made before there were any.
	DeploymentID uuid.UUID `json:"deployment_id,omitzero"`
}
