package clickhouse

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"quantbot/internal/backfill"
)

func levels(findings []Finding) map[string]Level {
	levels := map[string]Level{}
	for _, f := range findings {
		levels[f.Name] = f.Level
	}
	return levels
}

func TestCheck(t *testing.T) {
	t.Parallel()
	db, _ := openMigrated(t)
	found := levels(db.Check(t.Context(), time.Now))
	require.Contains(t, found, "clickhouse disk")
	delete(found, "clickhouse disk") // how full it is, is this machine's
	require.Equal(t, map[string]Level{
		"clickhouse version": LevelOK, "clickhouse clock": LevelOK, "clickhouse rights": LevelOK, "clickhouse schema": LevelOK,
		"deployment": LevelOK,
	}, found)

	behind := func() time.Time { return time.Now().Add(-time.Minute) }
	require.Equal(t, LevelWarning, levels(db.Check(t.Context(), behind))["clickhouse clock"])

	mustExec(t, db, `INSERT INTO ohlcv_deployment_signs (deployment_id, redis_id, clickhouse_server, seen_at)
		SELECT deployment_id, generateUUIDv4(), generateUUIDv4(), now64(6) - INTERVAL 1 DAY FROM ohlcv_deployments`)
	require.Equal(t, LevelWarning, levels(db.Check(t.Context(), time.Now))["deployment"], "one id that two servers answer for is a copy")

	mustExec(t, db, "DROP TABLE "+versionTable)
	require.Equal(t, LevelWarning, levels(db.Check(t.Context(), time.Now))["clickhouse schema"])
}

func TestCheckBeforeMigration(t *testing.T) {
	t.Parallel()
	db, _ := openConfig(t, newConfig(t))
	findings := db.Check(t.Context(), time.Now)
	require.Len(t, findings, 1)
	require.Equal(t, LevelWarning, findings[0].Level)
	require.Contains(t, findings[0].Hint, "quantbot migrate")
}

// A user that may only read learns it before anything is bought for it, in one sentence; inserts say the same.
func TestAUserThatMayOnlyReadGetsOneSentence(t *testing.T) {
	t.Parallel()
	cfg := newConfig(t)
	db, _ := openConfig(t, cfg)
	_, err := db.Migrate(t.Context())
	require.NoError(t, err)
	require.NoError(t, db.CheckWritable(t.Context()))
	require.NoError(t, db.CheckHistoryWritable(t.Context()))

	reader, _ := openConfig(t, cfg.with("readonly=2"))
	err = reader.CheckWritable(t.Context())
	require.ErrorContains(t, err, "may only read")
	require.Equal(t, backfill.WaitRights, backfill.ReasonOf(err))
	require.NotContains(t, err.Error(), "\n")
	require.Equal(t, backfill.WaitRights, backfill.ReasonOf(reader.CheckHistoryWritable(t.Context())))
	require.Equal(t, LevelError, levels(reader.Check(t.Context(), time.Now))["clickhouse rights"])
}

// A user who may store candles and not say which Redis they come by would let a second Redis pass unseen.
func TestRightsAreAskedForWhatBindsADeployment(t *testing.T) {
	t.Parallel()
	db, _ := openMigrated(t)
	asked := make(map[string]string)
	for _, check := range insertChecks {
		asked[check.table] = check.query
		var granted uint8
		require.NoError(t, db.conn.QueryRow(t.Context(), check.query).Scan(&granted))
		require.EqualValues(t, 1, granted, check.table)
	}
	for _, statement := range []string{insertDeploymentRedisSQL, insertDeploymentSignSQL, insertOutcomesSQL, insertLifecycleSQL} {
		_, rest, _ := strings.Cut(statement, "INSERT INTO ")
		table := strings.Fields(rest)[0]
		require.Equal(t, "CHECK GRANT INSERT ON "+table, strings.TrimSpace(asked[table]), "the right to insert into %s", table)
	}
}

func TestCheckVersion(t *testing.T) {
	t.Parallel()
	for version, want := range map[string]Level{
		"26.7.2.1": LevelOK, "25.3.1": LevelOK, "24.12.1": LevelWarning, "18.16.1": LevelWarning, "odd": LevelWarning,
	} {
		require.Equal(t, want, checkVersion(version, "h:1").Level, version)
	}
}
