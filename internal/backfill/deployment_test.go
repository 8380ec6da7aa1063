package backfill

import (
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
)

// TestJudgeBinding has a case for each way in which a Redis and a ClickHouse may be found together.
func TestJudgeBinding(t *testing.T) {
	t.Parallel()
	ours, theirs, first, second := uuid.New(), uuid.New(), uuid.New(), uuid.New()
	now := time.Date(2025, 3, 1, 12, 0, 0, 0, time.UTC)
	living := AdoptedRedis{ID: first, Adoption: 1, Address: "one:6379/0", Server: "abc/0", PresentAt: now.Add(-4 * time.Second), PresenceAge: 4 * time.Second}
	silent, released, unsigned := living, living, living
	silent.PresentAt, silent.PresenceAge = now.Add(-time.Hour), time.Hour
	released.Released = true
	unsigned.PresentAt, unsigned.PresenceAge = time.Time{}, 0
	adopted := func(redis ...AdoptedRedis) HistoryBinding { return HistoryBinding{DeploymentID: ours, Adopted: redis} }
	bound := RedisBinding{DeploymentID: ours, ID: first, Server: "abc/0", PresentAt: living.PresentAt, PresenceAge: 4 * time.Second}

	for name, c := range map[string]struct {
		redis   RedisBinding
		history HistoryBinding
		verdict bindingVerdict
		reason  string
	}{
		"both new, or of before there were ids":     {RedisBinding{Server: "abc/0"}, adopted(), bindingAdopt, ""},
		"as they were":                              {bound, adopted(living), bindingHolds, ""},
		"the server was restarted":                  {RedisBinding{DeploymentID: ours, ID: first, Server: "def/0"}, adopted(living), bindingHolds, ""},
		"Redis was emptied":                         {RedisBinding{Server: "abc/0"}, adopted(living), bindingRestore, ""},
		"another database of the same server":       {RedisBinding{Server: "abc/1"}, adopted(living), bindingUndecided, "another one"},
		"an empty Redis beside one in use":          {RedisBinding{Server: "def/0"}, adopted(living), bindingUndecided, "one:6379/0"},
		"the same, and Redis does not say who":      {RedisBinding{}, adopted(living), bindingUndecided, "another one"},
		"Redis was lost, and replaced":              {RedisBinding{Server: "def/0"}, adopted(silent), bindingAdopt, ""},
		"everybody took leave":                      {RedisBinding{Server: "def/0"}, adopted(released), bindingAdopt, ""},
		"nobody ever showed life":                   {RedisBinding{Server: "def/0"}, adopted(unsigned), bindingAdopt, ""},
		"Redis of another deployment":               {RedisBinding{DeploymentID: theirs, ID: first}, adopted(living), bindingRefused, "belongs to deployment " + theirs.String()},
		"the same, before a Redis was adopted":      {RedisBinding{DeploymentID: theirs, ID: first}, adopted(), bindingRefused, "belongs to deployment " + theirs.String()},
		"bound, and died before writing it down":    {bound, adopted(), bindingAdopt, ""},
		"the same with a former one that is silent": {RedisBinding{DeploymentID: ours, ID: second}, adopted(silent), bindingAdopt, ""},
		"the same with a former one in use":         {RedisBinding{DeploymentID: ours, ID: second}, adopted(living), bindingUndecided, "another one"},
		"a Redis that was left":                     {bound, adopted(AdoptedRedis{ID: second, Adoption: 2, Address: "two:6379/0"}, silent), bindingRefused, "went on with the Redis at two:6379/0"},
		"a copy of the database":                    {bound, adopted(silent), bindingRefused, "copy"},
		"a copy of the database, all asleep": {
			RedisBinding{DeploymentID: ours, ID: first, PresentAt: now, PresenceAge: time.Hour}, adopted(silent), bindingHolds, "",
		},
	} {
		verdict, reason := checkBinding(c.redis, c.history, places{"here:6379/0", "db:9000/quantbot"})
		require.Equal(t, c.verdict, verdict, "%s: %s", name, reason)
		require.Contains(t, reason, c.reason, name)
		require.Equal(t, verdict == bindingUndecided || verdict == bindingRefused, reason != "", name)
	}
}
