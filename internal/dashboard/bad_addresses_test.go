package dashboard_test

import (
	"encoding/json"
	"net/url"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"quantbot/internal/candle"
)

// Whatever stands in an address, it is answered with a proper status and one sentence, and nothing is rendered unescaped.
func TestBadAddressesOfHistoryPages(t *testing.T) {
	t.Parallel()
	w := setup(t)
	d := fillHistory(t, w)
	token := tokenPath(d.tokens[0])
	for address, says := range map[string]string{
		"/coverage?interval=2m":                       "interval must be one of 1s, 15s, 1m, 5m, 15m, 1h, 4h, 1d.",
		"/coverage?validation=loose":                  "validation must be one of lenient, strict.",
		"/coverage?outliers=some":                     "outliers must be one of keep, filter.",
		"/coverage?page=0":                            "page must be a whole number",
		"/coverage?page=99999999999999999999":         "page must be a whole number",
		"/coverage?from=yesterday":                    "from must be a time such as",
		"/coverage?from=2025-02-01&to=2025-01-01":     "from must be before to.",
		"/coverage?from=1960-01-01":                   "from must be a time such as",
		"/coverage?token=" + strings.Repeat("x", 500): "token must be a text of at most",
		"/coverage?token=%00":                         "token must be a text",
		"/coverage?interval=2m&validation=x":          "; ",
		"/tokens/narnia/abc":                          "There is no chain",
		"/tokens/solana/abc":                          "is no Solana mint",
		"/tokens/base/0xzz":                           "is no EVM address",
		token + "?bucket=7m":                          "bucket must be a length such as",
		token + "?at=noon":                            "at must be a time such as",
		token + "?from=2025-02-01&to=2025-02-01":      "from must be before to.",
		"/quality?by=week":                            "by must be one of day, run.",
		"/quality?min_error_rate=0":                   "min_error_rate must be a number above 0 and up to 1.",
		"/quality?min_rejection_rate=NaN":             "min_rejection_rate must be a number above 0 and up to 1.",
		"/quality?min_zero_volume_rate=2":             "min_zero_volume_rate must be",
		"/quality?from=2025-02-01&to=2025-02-01":      "from must be before to.",
	} {
		a := w.get(t, address)
		require.Equal(t, 400, a.StatusCode, address)
		require.Contains(t, a.body, says, address)
		require.NotContains(t, a.body, "goroutine", address)
		api := w.get(t, "/api"+address)
		require.Equal(t, 400, api.StatusCode, address)
		require.Contains(t, api.body, `"error"`, address)
	}
	script := url.QueryEscape(`"><script>alert(1)</script>`)
	for _, address := range []string{
		"/coverage?token=" + script, "/coverage?source=" + script, "/coverage?interval=" + script, "/coverage?validation=" + script,
		token + "?source=" + script, token + "?bucket=" + script, "/quality?source=" + script, "/quality?by=" + script,
		"/tokens/" + script + "/x", "/tokens/solana/" + script, "/quality", token, tokenPath(d.tokens[2]),
	} {
		a := w.get(t, address)
		require.Contains(t, []int{200, 400}, a.StatusCode, address)
		require.NotContains(t, a.body, "<script>alert", address)
		require.NotContains(t, a.body, "<img src=x", address)
	}
	for _, address := range []string{"/coverage", token, "/quality"} {
		require.Equal(t, 405, w.send(t, "POST", address, strings.NewReader("x="+strconv.Itoa(1))).StatusCode, address)
	}
}

// queryTime is a moment as it stands in the pages' addresses.
func queryTime(unix int64) string { return url.QueryEscape(candle.FormatTime(unix)) }

// quoted is a text as a script has it.
func quoted(text string) string {
	encoded, err := json.Marshal(text)
	if err != nil {
		panic(err)
	}
	return string(encoded)
}
