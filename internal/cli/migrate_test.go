package cli

import (
	"testing"

	"github.com/stretchr/testify/require"

	"quantbot/internal/simmarket"
)

func TestMigrateSaysWhatItApplied(t *testing.T) {
	t.Parallel()
	h := setupEmpty(t, simmarket.Options{})
	out := h.ok(t, "migrate", "--status").stdout
	require.Regexp(t, `(?m)^0001_\S+ +missing$`, out)
	require.NotContains(t, out, "applied")
	require.Contains(t, h.ok(t, "migrate", "--status").stdout, "missing", "looking changes nothing")
	require.Contains(t, h.ok(t, "migrate").stdout, "applied 0001_candle_versions.sql\n")
	require.Equal(t, "Nothing to do: the tables are up to date.\n", h.ok(t, "migrate").stdout)
	require.NotContains(t, h.ok(t, "migrate", "--status").stdout, "missing")
}
