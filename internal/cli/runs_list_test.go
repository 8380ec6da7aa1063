package cli

import (
	"encoding/json"
	"fmt"
	"os/user"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"quantbot/internal/simmarket"
)

// Runs are found by what people remember of them.
func TestRunsAreFoundByWhatTheyAre(t *testing.T) {
	t.Parallel()
	h := setup(t, simmarket.Options{})
	h.vars["GECKOTERMINAL_BASE_URL"] = h.vars["BIRDEYE_BASE_URL"]
	tokens := simmarket.Tokens(2)
	start := func(args ...string) string {
		return fmt.Sprint(row(t, h.ok(t, append([]string{"ingestion", "ohlcv", "--from", "2025-03-01", "--to", "2025-03-02", "--format", "json"}, args...)...).stdout)["run_id"])
	}
	first := start("--token", tokens[0].Address, "--label", "study=wicks", "--label", "owner=ana")
	second := start("--token", tokens[1].Address, "--label", "study=wicks", "--fallback", "geckoterminal")
	u, err := user.Current()
	require.NoError(t, err)
	found := func(args ...string) (ids []string) {
		var rows []struct {
			RunID  string            `json:"run_id"`
			Labels map[string]string `json:"labels"`
		}
		require.NoError(t, json.Unmarshal([]byte(h.ok(t, append([]string{"ohlcv", "runs-list", "--format", "json"}, args...)...).stdout), &rows))
		for _, row := range rows {
			require.Equal(t, "wicks", row.Labels["study"])
			ids = append(ids, row.RunID)
		}
		return ids
	}
	for _, test := range []struct {
		args []string
		want []string
	}{
		{nil, []string{second, first}},
		{[]string{"--label", "study=wicks"}, []string{second, first}},
		{[]string{"--label", "study=wicks", "--label", "owner=ana"}, []string{first}},
		{[]string{"--label", "owner=bob"}, nil},
		{[]string{"--label", "nothing="}, nil},
		{[]string{"--token", tokens[1].Address}, []string{second}},
		{[]string{"--token", tokens[1].String(), "--label", "owner=ana"}, nil},
		{[]string{"--token", "base:0x" + strings.Repeat("ab", 20)}, nil},
		{[]string{"--source", "geckoterminal"}, []string{second}},
		{[]string{"--source", "birdeye"}, []string{second, first}},
		{[]string{"--user", u.Username}, []string{second, first}},
		{[]string{"--user", u.Username[:1] + "?"}, nil},
		{[]string{"--user", "nobody-else"}, nil},
	} {
		require.Equal(t, test.want, found(test.args...), test.args)
	}
	require.Contains(t, h.ok(t, "ohlcv", "runs-details", first).stdout, "owner=ana, study=wicks")
	for _, wrong := range [][]string{{"--label", "x"}, {"--source", "nowhere"}, {"--token", "!"}} {
		require.Equal(t, exitUsage, h.run(t, append([]string{"ohlcv", "runs-list"}, wrong...)...).code)
	}
}
