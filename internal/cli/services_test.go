package cli

import (
	"fmt"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"quantbot/internal/devstack"
	"quantbot/internal/simmarket"
)

// Simulated candles never pass for real ones: not what dev left in a directory, and not what a configuration of another day
// asked for.
func TestSimulatedAndRealCandlesNeverShareADatabase(t *testing.T) {
	t.Parallel()
	require.Equal(t, filepath.Join(localDefault, "dev"), devDefault, "dev does not share the directory of --local")
	h := setup(t, simmarket.Options{})
	input := []string{"ingestion", "ohlcv", "--from", "2025-03-01", "--to", "2025-03-02", "--token", simmarket.Tokens(1)[0].Address}
	id := launchedRun(t, h.ok(t, append(input, "--format", "json")...).stdout)
	require.Contains(t, h.ok(t, "ohlcv", "runs-details", id).stdout, "birdeye at simulated")

	h.vars["BIRDEYE_BASE_URL"] = ""
	for _, args := range [][]string{input, append(input, "--dry-run"), append(input, "--force", "--no-resume")} {
		refused := h.run(t, args...)
		require.Equal(t, exitRefused, refused.code, refused.stderr)
		require.Contains(t, refused.stderr, "birdeye was asked at simulated")
		require.Contains(t, refused.stderr, "--local=DIR")
	}
	doctor := h.run(t, "doctor")
	require.Equal(t, exitFailed, doctor.code)
	require.Contains(t, doctor.stdout, "birdeye was asked at simulated")
	moved := h.run(t, "migrate", "--service-moved", "birdeye", "--yes")
	require.Equal(t, exitRefused, moved.code, moved.stderr)
	require.Contains(t, moved.stderr, "public-api.birdeye.so is another service")
	require.Equal(t, exitRefused, h.run(t, input...).code)

	h.vars["BIRDEYE_BASE_URL"], h.vars["BIRDEYE_API_KEY"] = "http://127.0.0.1:1/simulated", devstack.MarketKey
	other := h.run(t, append(input, "--source", "geckoterminal", "--no-resume")...)
	require.Equal(t, exitRefused, other.code, other.stderr)
	require.Contains(t, other.stderr, "birdeye is asked at simulated", "the key of dev is no word that has to be said")
	require.Contains(t, other.stderr, "geckoterminal would be asked at api.geckoterminal.com")
}

// A service may move, and a person says so.
func TestAServiceMoves(t *testing.T) {
	t.Parallel()
	h := setup(t, simmarket.Options{})
	h.vars["BIRDEYE_BASE_URL"] = "http://127.0.0.1:1"
	input := []string{"ingestion", "ohlcv", "--from", "2025-03-01", "--to", "2025-03-02", "--token", simmarket.Tokens(1)[0].Address, "--force", "--no-resume"}
	h.ok(t, input...)
	h.vars["BIRDEYE_BASE_URL"] = ""
	require.Equal(t, exitUsage, h.run(t, "migrate", "--service-moved", "bird").code)
	require.Contains(t, h.ok(t, "migrate", "--service-moved", "birdeye", "--dry-run").stderr, "public-api.birdeye.so counts as the same service")
	require.Equal(t, exitRefused, h.run(t, input...).code, "a dry run changes nothing")
	h.ok(t, "migrate", "--service-moved", "birdeye", "--yes")
	h.ok(t, input...)
}

func launchedRun(t *testing.T, out string) string {
	t.Helper()
	id, _ := row(t, out)["run_id"].(string)
	require.NotEmpty(t, id)
	return id
}

// doctor, and every command that writes, name the two servers that do not belong together.
func TestServersOfTwoDeploymentsAreRefused(t *testing.T) {
	t.Parallel()
	ours, theirs := setup(t, simmarket.Options{}), setup(t, simmarket.Options{})
	for _, h := range []*harness{ours, theirs} {
		h.ok(t, "ingestion", "ohlcv", "--from", "2025-03-01", "--to", "2025-03-02", "--token", simmarket.Tokens(1)[0].Address)
		require.Contains(t, h.run(t, "doctor").stdout, "belong together: deployment ")
	}
	theirs.vars["REDIS_URL"] = ours.env.RedisURL
	doctor := theirs.run(t, "doctor")
	require.Equal(t, exitFailed, doctor.code)
	require.Contains(t, doctor.stdout, fmt.Sprintf("Redis at %s/%d belongs to deployment", ours.env.RedisAddr, ours.env.RedisDB))
	refused := theirs.run(t, "ingestion", "ohlcv", "--from", "2025-03-01", "--to", "2025-03-02", "--token", simmarket.Tokens(1)[0].Address, "--no-resume")
	require.Equal(t, exitRefused, refused.code, refused.stderr)
	require.Contains(t, refused.stderr, "set REDIS_URL and CLICKHOUSE_HOST, CLICKHOUSE_DATABASE to servers of one deployment")
}

func TestACopiedDatabaseGetsAnIdOfItsOwn(t *testing.T) {
	t.Parallel()
	h := setup(t, simmarket.Options{})
	input := []string{"ingestion", "ohlcv", "--from", "2025-03-01", "--to", "2025-03-02", "--token", simmarket.Tokens(1)[0].Address, "--format", "json"}
	id := launchedRun(t, h.ok(t, input...).stdout)
	require.Equal(t, exitUsage, h.run(t, "migrate", "--yes").code)
	require.Contains(t, h.ok(t, "migrate", "--new-deployment", "--dry-run").stderr, "which are ended here: 1.")
	require.Equal(t, exitRefused, h.run(t, "migrate", "--new-deployment").code, "nobody answered")
	require.Equal(t, "running", row(t, h.ok(t, "ohlcv", "runs-details", id, "--format", "json").stdout)["status"])
	require.Contains(t, h.ok(t, "migrate", "--new-deployment", "--yes").stdout, "deployment ")
	details := row(t, h.ok(t, "ohlcv", "runs-details", id, "--format", "json").stdout)
	require.Equal(t, "failed", details["status"])
	require.Contains(t, details["error_message"], "the database was copied")
	require.Equal(t, exitRefused, h.run(t, input...).code, "its Redis is still the former deployment's")
}

// A --new-deployment that was interrupted before it had ended the runs ends them when it is called again.
func TestANewDeploymentIsTakenUpAgain(t *testing.T) {
	t.Parallel()
	h := setup(t, simmarket.Options{})
	id := launchedRun(t, h.ok(t, "ingestion", "ohlcv", "--from", "2025-03-01", "--to", "2025-03-02", "--token", simmarket.Tokens(1)[0].Address, "--format", "json").stdout)
	h.env.ClickHouse(t, "INSERT INTO "+h.table("ohlcv_deployments")+" (generation, deployment_id) VALUES (2, generateUUIDv4())")
	h.ok(t, "migrate", "--new-deployment", "--yes")
	require.Equal(t, "failed", row(t, h.ok(t, "ohlcv", "runs-details", id, "--format", "json").stdout)["status"])
}
