package cli

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"quantbot/internal/config"
	"quantbot/internal/secret"
	"quantbot/internal/simmarket"
)

// What asynq leaves in its queues for ever is counted, one of what nobody can decode is named, and it is said what to do.
func TestDoctorNamesStrayTasks(t *testing.T) {
	t.Parallel()
	h := setup(t, simmarket.Options{})
	h.ok(t, "migrate")
	require.NotContains(t, h.ok(t, "doctor").stdout, "queue ingest")
	settings, err := config.ParseRedis(secret.Text(h.env.RedisURL))
	require.NoError(t, err)
	client := settings.NewClient()
	defer client.Close()
	ctx := t.Context()
	const queue = "asynq:{ingest}:"
	require.NoError(t, client.LPush(ctx, queue+"active", "spoiled", "no lease", "deleted", "also deleted").Err())
	for _, id := range []string{"spoiled", "no lease"} {
		require.NoError(t, client.HSet(ctx, queue+"t:"+id, "msg", "\xff\xffno message", "state", "active").Err())
	}
	require.NoError(t, client.ZAdd(ctx, queue+"lease", redis.Z{Score: 1, Member: "spoiled"}).Err())

	doctor := h.ok(t, "doctor").stdout // a warning: workers mend it
	require.Contains(t, doctor, "queue ingest")
	require.Contains(t, doctor, "1 task active without a lease, 2 ids without a task, 1 task that cannot be decoded, such as spoiled")
	require.Contains(t, doctor, "workers mend this within two minutes: start one")
	require.EqualValues(t, 4, client.LLen(ctx, queue+"active").Val(), "doctor changes nothing")
}

func TestDoctorSaysThatAllIsWell(t *testing.T) {
	t.Parallel()
	h := setup(t, simmarket.Options{})
	require.Equal(t, 0, h.run(t, "migrate").code)
	r := h.run(t, "doctor")
	require.Equal(t, 0, r.code, r.stdout+r.stderr)
	require.Contains(t, r.stdout, "redis")
	require.Contains(t, r.stdout, "birdeye keys             1 set")
}

// doctor looks at free space, at workers, at sources (those that cost credits when that is asked for), and at the webhook's
// host, to which it sends nothing.
func TestDoctorLooksAtEverything(t *testing.T) {
	t.Parallel()
	h := setup(t, simmarket.Options{})
	h.ok(t, "migrate")
	methods := make(chan string, 10)
	receiver := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { methods <- r.Method }))
	t.Cleanup(receiver.Close)
	require.Contains(t, h.ok(t, "doctor").stdout, "none is set: alerts go nowhere")
	h.vars["QUANTBOT_ALERT_WEBHOOK_URL"] = receiver.URL
	healthy := h.ok(t, "doctor").stdout
	for _, line := range []string{
		`ok +clickhouse disk +[\d.]+ of [\d.]+ GiB free on disk default`, `ok +source birdeye +not asked, because a question costs credits: doctor --ask-sources`,
		`ok +webhook +its host answers; whether it takes messages says: quantbot alert-test`, `warning +workers +no worker is running`,
	} {
		require.Regexp(t, line, healthy)
	}
	require.Equal(t, http.MethodHead, <-methods, "it sends no message")
	require.Zero(t, h.market.Stats().Requests)
	require.Regexp(t, `ok +source birdeye +answers, within `, h.ok(t, "doctor", "--ask-sources").stdout)
	require.EqualValues(t, 1, h.market.Stats().Requests)
	h.worker(t)
	require.Eventually(t, func() bool { return strings.Contains(h.ok(t, "doctor").stdout, "1 worker running") }, 2*time.Minute, lookEvery)

	receiver.Close()
	h.market.SetFaults([]simmarket.Fault{{Kind: "500"}})
	ill := h.run(t, "doctor", "--ask-sources")
	require.Equal(t, exitFailed, ill.code)
	require.Regexp(t, `error +source birdeye +birdeye answers nobody since `+moment+`: .*500`, ill.stdout)
	require.Regexp(t, `warning +webhook `, ill.stdout)
	require.Contains(t, ill.stdout, "alert-test")
}
