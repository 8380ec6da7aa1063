package cli

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"quantbot/internal/alert"
)

func TestAlertTest(t *testing.T) {
	t.Parallel()
	h := &harness{vars: map[string]string{}}
	r := h.run(t, "alert-test")
	require.Equal(t, exitUsage, r.code)
	require.Equal(t, "quantbot: QUANTBOT_ALERT_WEBHOOK_URL is not set: set it to the URL that alerts are to be posted to\nSee quantbot alert-test --help.\n", r.stderr)

	o := newOutside(t)
	h.vars["QUANTBOT_ALERT_WEBHOOK_URL"], h.vars["QUANTBOT_ALERT_WEBHOOK_SECRET"] = o.URL+"/hook/distinctive-key", "s"
	r = h.run(t, "alert-test")
	require.Equal(t, 0, r.code, r.stderr)
	require.Regexp(t, `^Delivered: HTTP 200 after [1-9][0-9.]*(µs|ms|s), signed\.\n  event id  [0-9a-f-]{36}\n`, r.stdout)
	require.Equal(t, alert.KindTest, o.delivered()[0].Kind)

	h.vars["QUANTBOT_ALERT_WEBHOOK_SECRET"] = ""
	r = h.run(t, "alert-test")
	require.Equal(t, exitFailed, r.code)
	require.Equal(t, "quantbot: the test alert was not taken: HTTP 400 Bad Request\n", r.stderr)
	r = h.run(t, "alert-test", "--format", "json")
	require.Equal(t, exitFailed, r.code)
	var tested alertTested
	require.NoError(t, json.Unmarshal([]byte(r.stdout), &tested))
	require.False(t, tested.Delivered)
	require.Equal(t, 400, tested.Receipt.Status)
	require.Equal(t, "HTTP 400 Bad Request", tested.Error)
}
