package cli

import (
	"bytes"
	"io"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"quantbot/internal/backfill"
	"quantbot/internal/candle"
	"quantbot/internal/manifest"
)

// onlyInJSON are the columns of a run that runs-details shows only with --format json.
var onlyInJSON = []string{"dedup_completed_at", "retried_chunks", "halt_rejection_rate", "max_credits", "typed_hash"}

func filledRow(t *testing.T) backfill.RunRow {
	t.Helper()
	clean := true
	row, err := backfill.NewRunRow(backfill.RunRecord{
		Run: backfill.Run{
			Manifest: manifest.Manifest{
				RunID: uuid.New(), StartedAt: time.Unix(1_750_000_000, 0).UTC(), StartedBy: "ana@laptop", ScriptVersion: "1.2.3", GitCommitHash: "abc1234",
				GitBranch: "main", GitDirty: &clean, CLIArgs: map[string]any{"from": "-5d"}, EnvInfo: map[string]string{"BIRDEYE_RPS": "50"},
				InputHash: "aaaa", TypedHash: "bbbb", Labels: map[string]string{"study": "wicks"}, Source: "birdeye", Interval: candle.Interval15m,
				Range: candle.Range{From: 900, To: 1800}, Validation: candle.Strict, DedupMode: manifest.DedupPostBatch, SourceTier: candle.TierValidated,
				Fallbacks: []string{"binance"}, Priority: manifest.PriorityLow, Outliers: manifest.OutliersFilter, NoPublishedFiles: true, HaltRejectionRate: 0.5, MaxCredits: 1_000,
				Services: map[string]string{"birdeye": "market.example"}, DeploymentID: uuid.New(),
			},
			Attempt: 2, PlannedChunks: 31, RetriedChunks: 7,
		},
		Status: backfill.StatusFailed, CompletedAt: time.Unix(1_750_000_100, 0).UTC(), DedupCompletedAt: time.Unix(1_750_000_099, 0).UTC(),
		Stats:           backfill.Stats{Fetched: 40, Inserted: 12, Rejected: 14, Deduplicated: 14, Shadowed: 5, Skipped: 9, ZeroVolume: 15, Dropped: 16, APICalls: 17, Credits: 18},
		TokensProcessed: 19, FailedChunks: 20, CancelledChunks: 21, ErrorMessage: "20 × server error 500",
	})
	require.NoError(t, err)
	return row
}

// A column that is added to a run's row is shown by runs-details, or is named in onlyInJSON.
func TestRunsDetailsShowsEveryColumn(t *testing.T) {
	t.Parallel()
	shown := func(row backfill.RunRow) string {
		var stdout bytes.Buffer
		a := &app{stdout: &stdout, stderr: io.Discard, now: time.Now, getenv: func(string) string { return "" }}
		a.printDetails(runDetails{listedRun: listedRun{RunRow: row}})
		return stdout.String()
	}
	full := filledRow(t)
	for _, field := range reflect.VisibleFields(reflect.TypeFor[backfill.RunRow]()) {
		require.False(t, reflect.ValueOf(full).FieldByIndex(field.Index).IsZero(), "column %s has no value: neither filledRow nor NewRunRow gives it one", field.Tag.Get("json"))
		without := full
		reflect.ValueOf(&without).Elem().FieldByIndex(field.Index).SetZero()
		column := field.Tag.Get("json")
		if differs := shown(without) != shown(full); differs == slices.Contains(onlyInJSON, column) {
			if differs {
				t.Errorf("printDetails shows column %s, which onlyInJSON names", column)
			} else {
				t.Errorf("printDetails does not show column %s, and onlyInJSON does not name it", column)
			}
		}
	}
}
