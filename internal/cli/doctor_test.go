package cli

import (
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"quantbot/internal/config"
	"quantbot/internal/simmarket"
)

// What asynq leaves in its queues for ever is counted, one of what nobody can decode is named, and it is said what to do.
func TestDoctorNamesStrayTasks(t *testing.T) {
	t.Parallel()
	b := setup(t, simmarket.Options{})
	b.ok(t, "migrate")
	require.NotContains(t, b.ok(t, "doctor").stdout, "queue ingest")
	settings, err := config.ParseRedis(config.Secret(b.env.RedisURL))
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

	doctor := b.ok(t, "doctor").stdout // a warning: workers mend it
	require.Contains(t, doctor, "queue ingest")
	require.Contains(t, doctor, "1 task active without a lease, 2 ids without a task, 1 task that cannot be decoded, such as spoiled")
	require.Contains(t, doctor, "workers mend this within two minutes: start one")
	require.EqualValues(t, 4, client.LLen(ctx, queue+"active").Val(), "doctor changes nothing")
}
