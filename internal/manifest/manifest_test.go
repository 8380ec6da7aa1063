package manifest

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"reflect"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"quantbot/internal/candle"
)

var update = flag.Bool("update", false, "write the golden files")

// A manifest must come back from storage as it was written, and the stored form is read by other programs: its keys must
// not change unnoticed. Every form ever written must decode; a new form gets a new file beside the old ones.
func TestManifestJSON(t *testing.T) {
	t.Parallel()
	dirty := false
	first := Manifest{
		RunID: testRunID, StartedAt: time.Date(2026, 1, 12, 10, 11, 12, 345_000_000, time.UTC), StartedBy: "ada@lab",
		ScriptVersion: "1.2.3", GitCommitHash: "abc1234", GitBranch: "main", GitDirty: &dirty,
		CLIArgs: map[string]any{"from": "2024-01-01", "token": []any{"A", "B"}, "wait": true, "source-tier": 2.0},
		EnvInfo: map[string]string{"CLICKHOUSE_HOST": "localhost", "BIRDEYE_API_KEY": "***"}, InputHash: "a1b2",
		Source: "birdeye", Interval: candle.Interval1m, Range: candle.Range{From: 1704067200, To: 1706745600},
		Validation: candle.Lenient, DedupMode: DedupPostBatch, SourceTier: candle.TierBackfillAPI,
	}
	second := first
	second.HaltRejectionRate, second.MaxCredits, second.Fallbacks = 0.5, 100_000, []string{"geckoterminal"}
	third := second
	third.Priority = PriorityHigh
	fourth := third
	fourth.Outliers, fourth.NoPublishedFiles, fourth.DeploymentID = OutliersKeep, true, testRunID
	fourth.Services = map[string]string{"birdeye": "market.example", "geckoterminal": "pools.example"}
	fifth := fourth
	fifth.TypedHash = "c3d4"
	latest := fifth
	latest.Labels = map[string]string{"study": "wicks"}

	for _, field := range reflect.VisibleFields(reflect.TypeFor[Manifest]()) {
		require.False(t, reflect.ValueOf(latest).FieldByIndex(field.Index).IsZero(), "the latest form has no %s: it is a new form, with a new file", field.Name)
	}
	const file = "testdata/manifest_v6.json"
	encoded, err := json.MarshalIndent(latest, "", "  ")
	require.NoError(t, err)
	encoded = append(encoded, '\n')
	if *update {
		require.NoError(t, os.WriteFile(file, encoded, 0o644))
	}
	golden, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, string(golden), string(encoded))

	for file, want := range map[string]Manifest{
		"testdata/manifest_v1.json": first, "testdata/manifest_v2.json": second, "testdata/manifest_v3.json": third, "testdata/manifest_v4.json": fourth,
		"testdata/manifest_v5.json": fifth, file: latest,
	} {
		stored, err := os.ReadFile(file)
		require.NoError(t, err)
		var got Manifest
		decoder := json.NewDecoder(bytes.NewReader(stored))
		decoder.DisallowUnknownFields()
		require.NoError(t, decoder.Decode(&got))
		require.Empty(t, cmp.Diff(want, got), file)
	}
}

func TestParseOutliers(t *testing.T) {
	t.Parallel()
	for _, outliers := range []Outliers{OutliersKeep, OutliersFilter} {
		got, err := ParseOutliers(string(outliers))
		require.NoError(t, err)
		require.Equal(t, outliers, got)
	}
	_, err := ParseOutliers("")
	require.EqualError(t, err, `unknown treatment of outliers "" (known: keep, filter)`)
}

func TestParsePriority(t *testing.T) {
	t.Parallel()
	for _, priority := range []Priority{PriorityLow, PriorityNormal, PriorityHigh} {
		got, err := ParsePriority(string(priority))
		require.NoError(t, err)
		require.Equal(t, priority, got)
	}
	_, err := ParsePriority("")
	require.EqualError(t, err, `unknown priority "" (known: low, normal, high)`)
}

func TestParseDedupMode(t *testing.T) {
	t.Parallel()
	for _, mode := range []DedupMode{DedupNone, DedupInline, DedupPostBatch} {
		got, err := ParseDedupMode(string(mode))
		require.NoError(t, err)
		require.Equal(t, mode, got)
	}
	_, err := ParseDedupMode("Inline")
	require.EqualError(t, err, `unknown dedup mode "Inline" (known: none, inline, post-batch)`)
}
