package cli

import (
	"encoding/csv"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
	"github.com/stretchr/testify/require"
)

// A command that has --format refuses one that there is not, as wrong usage and before it opens anything: none can forget it.
func TestEveryCommandChecksItsFormat(t *testing.T) {
	t.Parallel()
	checked := 0
	var check func(cmd *cobra.Command)
	check = func(cmd *cobra.Command) {
		for _, below := range cmd.Commands() {
			check(below)
		}
		if cmd.Flags().Lookup("format") == nil {
			return
		}
		checked++
		example, _, _ := strings.Cut(cmd.Example, "\n")
		_, example, _ = strings.Cut(example, "quantbot ")
		words := csv.NewReader(strings.NewReader(strings.TrimPrefix(example, "--local ")))
		words.Comma = ' '
		args, err := words.Read()
		require.NoError(t, err, example)
		r := unserved(t.Context(), nil, append(args, "--format", "xml")...)
		require.Equal(t, exitUsage, r.code, "%s: %s", example, r.stderr)
		require.Contains(t, r.stderr, "--format", example)
		require.Contains(t, r.stderr, "See "+cmd.CommandPath()+" --help.", example)
	}
	check((&app{stdout: io.Discard, getenv: func(string) string { return "" }, now: time.Now}).rootCommand())
	require.Greater(t, checked, 20)
}
