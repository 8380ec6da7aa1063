package cli

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/spf13/cobra"
	"github.com/stretchr/testify/require"

	"quantbot/internal/simmarket"
)

// jsonSchema is what docs/json.md promises.
const jsonSchema = "../../docs/json.schema.json"

// jsonRuns are the runs that the documents are about.
type jsonRuns struct{ whole, failed, undone string }

// jsonHarness is one with a run of each kind, so that no list of a document is empty everywhere.
func jsonHarness(t *testing.T) (*harness, jsonRuns) {
	t.Helper()
	h := setup(t, simmarket.Options{})
	tokens := simmarket.Tokens(3)
	id := func(r result) string { return fmt.Sprint(row(t, r.stdout)["run_id"]) }
	day := func(token string, more ...string) []string {
		return append([]string{"ingestion", "ohlcv", "--from", "2025-03-01", "--to", "2025-03-02", "--token", token, "--wait", "--format", "json"}, more...)
	}
	h.worker(t)
	whole := id(h.ok(t, day(tokens[0].Address, "--label", "study=json")...))
	h.ok(t, day(tokens[0].Address, "--no-resume", "--dedup-mode", "post-batch")...)
	undone := id(h.ok(t, day(tokens[1].Address)...))
	h.ok(t, "ohlcv", "runs-rollback", undone, "--yes", "--reason", "a test")
	h.market.SetFaults([]simmarket.Fault{{Kind: "401"}})
	failed := h.run(t, day(tokens[2].Address)...)
	require.Equal(t, exitRunFailed, failed.code, failed.stderr)
	h.market.SetFaults(nil)
	return h, jsonRuns{whole, id(failed), undone}
}

// jsonCall is a command that has JSON, with the exit code that belongs to it; -1 = any.
type jsonCall struct {
	command string
	args    []string
	code    int
}

func jsonCalls(runs jsonRuns, selection []string) []jsonCall {
	seconds := append([]string{"--source", "birdeye"}, selection...)
	return []jsonCall{
		{"ingestion ohlcv", append([]string{"--dry-run"}, selection...), 0},
		{"ingestion ohlcv", append([]string{"--no-resume", "--wait"}, selection...), 0},
		{"ingestion ohlcv", append([]string{"--no-resume", "--interval", "5m"}, seconds...), 0},
		{"ohlcv runs-list", nil, 0},
		{"ohlcv runs-details", []string{runs.whole, "--tasks"}, 0},
		{"ohlcv runs-details", []string{runs.failed, "--tasks"}, 0},
		{"ohlcv runs-details", []string{runs.undone, "--failed"}, 0},
		{"ohlcv runs-watch", []string{runs.whole}, 0},
		{"ohlcv runs-retry", []string{runs.failed, "--wait"}, 0},
		{"ohlcv runs-restore", []string{runs.undone}, 0},
		{"ohlcv runs-rollback", []string{runs.undone, "--dry-run"}, 0},
		{"ohlcv runs-rollback", []string{runs.undone, "--yes"}, 0},
		{"ohlcv runs-diff", []string{runs.whole, runs.undone}, 0},
		{"ohlcv validate-duplicates", []string{"--min-error-rate", "0.01"}, -1},
		{"ohlcv dedup-sweep", []string{"--yes", "--older-than", "0"}, 0},
		{"ohlcv coverage", nil, 0},
		{"ohlcv gaps", nil, 0},
		{"ohlcv gaps", []string{"--fetch", "--dry-run"}, 0},
		{"ohlcv gaps", []string{"--fetch", "--dry-run", "--run", runs.whole}, 0}, // none
		{"ohlcv query", selection, 0},
		{"ohlcv query", append([]string{"--resample", "1h"}, selection...), 0},
		{"ohlcv sources", nil, 0},
		{"doctor", nil, 0},
		{"migrate", nil, 0},
		{"version", nil, 0},
	}
}

// jsonCheck compares documents with the schema.
type jsonCheck struct {
	schema  *jsonschema.Schema
	checked map[string]bool
}

func newJSONCheck(t *testing.T) *jsonCheck {
	t.Helper()
	schema, err := jsonschema.NewCompiler().Compile(jsonSchema)
	require.NoError(t, err)
	return &jsonCheck{schema: schema, checked: make(map[string]bool)}
}

func (c *jsonCheck) document(t *testing.T, command string, document string) {
	t.Helper()
	if dir := os.Getenv("QUANTBOT_JSON_SAMPLES"); dir != "" {
		require.NoError(t, os.WriteFile(filepath.Join(dir, fmt.Sprintf("%02d-%s.json", len(c.checked), strings.ReplaceAll(command, " ", "-"))), []byte(document), 0o600))
	}
	value, err := jsonschema.UnmarshalJSON(strings.NewReader(document))
	require.NoError(t, err, command)
	require.NoError(t, c.schema.Validate(map[string]any{command: value}), command)
	c.checked[command] = true
}

// requireAll fails for a command below that has JSON and was not checked.
func (c *jsonCheck) requireAll(t *testing.T, cmd *cobra.Command) {
	t.Helper()
	path := strings.TrimPrefix(cmd.CommandPath(), programName()+" ")
	flag := cmd.Flags().Lookup("format")
	if flag != nil && strings.Contains(flag.Usage, "json") && path != "sql" { // sql has the columns of its statement
		require.True(t, c.checked[path], "%s has JSON that is not checked", path)
	}
	for _, sub := range cmd.Commands() {
		c.requireAll(t, sub)
	}
}

// Every command that has JSON writes what docs/json.schema.json says, and nothing else. A new command or field fails until it is described.
func TestJSONIsAsItIsDescribed(t *testing.T) {
	t.Parallel()
	h, runs := jsonHarness(t)
	selection := []string{"--token", simmarket.Tokens(1)[0].Address, "--from", "2025-03-01", "--to", "2025-03-02"}
	c := newJSONCheck(t)
	for _, call := range jsonCalls(runs, selection) {
		r := h.run(t, append(append(strings.Fields(call.command), call.args...), "--format", "json")...)
		if call.code >= 0 {
			require.Equal(t, call.code, r.code, "%s: %s", call.command, r.stderr)
		}
		c.document(t, call.command, r.stdout)
	}
	h.market.SetFaults([]simmarket.Fault{{Kind: "slow", Delay: 1 << 40}})
	running := fmt.Sprint(row(t, h.ok(t, append([]string{"ingestion", "ohlcv", "--no-resume", "--interval", "15m", "--format", "json"}, selection...)...).stdout)["run_id"])
	c.document(t, "ohlcv runs-list", h.ok(t, "ohlcv", "runs-list", "--status", "running", "--format", "json").stdout)
	c.document(t, "ohlcv runs-resume", h.ok(t, "ohlcv", "runs-resume", running, "--format", "json").stdout)
	c.document(t, "ohlcv runs-cancel", h.ok(t, "ohlcv", "runs-cancel", running, "--format", "json").stdout)
	out := filepath.Join(t.TempDir(), "x.parquet")
	c.document(t, "ohlcv export", h.ok(t, append([]string{"ohlcv", "export", "--out", out, "--summary", "json"}, selection...)...).stdout)
	manifest, err := os.ReadFile(out + ".manifest.json")
	require.NoError(t, err)
	c.document(t, "ohlcv export", string(manifest))

	hook := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }))
	defer hook.Close()
	h.vars["QUANTBOT_ALERT_WEBHOOK_URL"] = hook.URL
	c.document(t, "alert-test", h.ok(t, "alert-test", "--format", "json").stdout)

	c.requireAll(t, (&app{getenv: func(string) string { return "" }}).rootCommand())
}

// The schema says of each list that it is one and of each document which fields it has: what it leaves open could be anything.
func TestTheSchemaLeavesNothingOpen(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(jsonSchema)
	require.NoError(t, err)
	var schema any
	require.NoError(t, json.Unmarshal(text, &schema))
	var look func(path string, v any)
	look = func(path string, v any) {
		object, ok := v.(map[string]any)
		if !ok {
			return
		}
		if object["type"] == "object" {
			_, closed := object["additionalProperties"]
			require.True(t, closed || object["unevaluatedProperties"] == false, path)
		}
		if object["type"] == "array" {
			require.Contains(t, object, "items", path)
		}
		for name, sub := range object {
			look(path+"/"+name, sub)
		}
	}
	look("", schema)
}
