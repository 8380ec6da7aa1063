package cli

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"quantbot/internal/simmarket"
)

// Names of tokens and answers of services come from strangers. What a terminal would obey (here: turn the rest of the line
// around, clear the screen) is written out, in results and in errors.
func TestForeignTextDoesNothingToATerminal(t *testing.T) {
	t.Parallel()
	const foreign = "SOL\u202eTDSU\x1b[2J\u200b"
	var stdout, stderr bytes.Buffer
	a := &app{stdin: strings.NewReader(""), stdout: &stdout, stderr: &stderr, now: time.Now, getenv: func(string) string { return "" }}
	require.Equal(t, exitUsage, a.run(t.Context(), []string{"ohlcv", foreign}))
	table := a.newTable("token", "error")
	table.AppendRow([]any{foreign, foreign})
	table.Render()
	a.printFields([]field{{"error", foreign}})
	a.logger().ErrorContext(t.Context(), foreign, "err", foreign)
	for _, shown := range []string{stdout.String(), stderr.String()} {
		require.Contains(t, shown, `SOL\u202eTDSU`)
		for _, obeyed := range []string{"\u202e", "\x1b", "\u200b"} {
			require.NotContains(t, shown, obeyed)
		}
	}
	stdout.Reset()
	require.NoError(t, a.printJSON(foreign))
	require.NotContains(t, stdout.String(), "\u202e")
	var read string
	require.NoError(t, json.Unmarshal(stdout.Bytes(), &read))
	require.Equal(t, foreign, read, "JSON means the same")
}

// A program that reads our JSON goes over lists without asking whether they are there.
func TestListsInJSONAreNeverNull(t *testing.T) {
	t.Parallel()
	h := setup(t, simmarket.Options{})
	h.ok(t, "migrate")
	launched := h.ok(t, "ingestion", "ohlcv", "--from", "2025-03-01", "--to", "2025-03-02", "--token", simmarket.Tokens(1)[0].Address, "--format", "json")
	require.Equal(t, []any{}, row(t, launched.stdout)["fallbacks"])
}
