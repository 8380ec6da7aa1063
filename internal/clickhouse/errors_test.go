package clickhouse

import (
	"crypto/tls"
	"net"
	"net/http/httptest"
	"net/url"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"quantbot/internal/backfill"
	"quantbot/internal/manifest"
	"quantbot/internal/secret"
)

// with connects with settings of its own, as a user has whose profile says so.
func (c Config) with(settings string) Config {
	dsn := url.URL{
		Scheme: "clickhouse", User: url.UserPassword(c.User, string(c.Password)), Host: net.JoinHostPort(c.Host, strconv.Itoa(c.Port)),
		Path: c.Database, RawQuery: settings,
	}
	c.DSN = secret.Text(dsn.String())
	return c
}

// Each way in which a real server refuses an insert has its reason, and one sentence without a line break.
func TestEachRefusalHasItsReason(t *testing.T) {
	t.Parallel()
	cfg := newConfig(t)
	db, _ := openConfig(t, cfg)
	_, err := db.Migrate(t.Context())
	require.NoError(t, err)
	mustWrite(t, db, newWrite(newRun(0), minutes(1_440, 1)))
	mustWrite(t, db, newWrite(newRun(1), minutes(1_440, 2)))
	const reset = "ALTER TABLE ohlcv_candle_versions RESET SETTING "
	for _, test := range []struct {
		name, settings, before, after string
		reason                        backfill.WaitReason
	}{
		{name: "read-only user", settings: "readonly=2", reason: backfill.WaitRights},
		{name: "memory limit", settings: "max_memory_usage=1500000&max_untracked_memory=1", reason: backfill.WaitMemory},
		{
			name: "full disk", before: "ALTER TABLE ohlcv_candle_versions MODIFY SETTING min_free_disk_bytes_to_perform_insert = 1000000000000000000",
			after: reset + "min_free_disk_bytes_to_perform_insert", reason: backfill.WaitDisk,
		},
		{
			name: "too many parts", before: "ALTER TABLE ohlcv_candle_versions MODIFY SETTING parts_to_throw_insert = 1, parts_to_delay_insert = 1",
			after: reset + "parts_to_throw_insert, parts_to_delay_insert", reason: backfill.WaitParts,
		},
		{name: "missing column", before: "ALTER TABLE ohlcv_candle_versions DROP COLUMN script_version", reason: backfill.WaitSchema},
		{name: "no table", before: "DROP TABLE ohlcv_candle_versions", reason: backfill.WaitSchema},
	} {
		if test.before != "" {
			mustExec(t, db, test.before)
		}
		refused, _ := openConfig(t, cfg.with(test.settings))
		_, err := refused.WriteChunk(t.Context(), newWrite(newRun(2), minutes(1_440, 1)))
		require.Equal(t, test.reason, backfill.ReasonOf(err), "%s: %v", test.name, err)
		require.Equal(t, backfill.ClassStore, backfill.ClassOf(err), test.name)
		require.Equal(t, test.reason != backfill.WaitMemory, refused.away(err), test.name)
		if test.after != "" {
			mustExec(t, db, test.after)
		}
	}
}

// A server that cannot be reached, or is not the one that it should be, has its reason as well.
func TestEachWayNotToConnectHasItsReason(t *testing.T) {
	t.Parallel()
	stranger := httptest.NewTLSServer(nil) // its certificate is of no authority that we know
	t.Cleanup(stranger.Close)
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, closed.Close())
	env := newConfig(t)
	address := func(a net.Addr) Config {
		host, port, err := net.SplitHostPort(a.String())
		require.NoError(t, err)
		number, err := strconv.Atoi(port)
		require.NoError(t, err)
		return Config{Host: host, Port: number}
	}
	untrusted := address(stranger.Listener.Addr())
	untrusted.TLS = &tls.Config{MinVersion: tls.VersionTLS12}
	wrong := env
	wrong.User, wrong.Password = "nobody-of-ours", "wrong"
	for name, test := range map[string]struct {
		cfg    Config
		reason backfill.WaitReason
		says   string
	}{
		"untrusted certificate": {untrusted, backfill.WaitCertificate, "is not trusted"},
		"nobody listens":        {address(closed.Addr()), backfill.WaitUnreachable, "does not answer"},
		"wrong password":        {wrong, backfill.WaitLogin, "check CLICKHOUSE_USER"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := Open(t.Context(), test.cfg, nil)
			require.Equal(t, test.reason, backfill.ReasonOf(err), "%v", err)
			require.ErrorContains(t, err, test.says)
		})
	}
}

// A server's error repeats the query and its values; our secrets are in no error of it.
func TestWhatTheServerRepeatsOfASecretIsTakenOut(t *testing.T) {
	t.Parallel()
	const secret = "distinctive_key"
	cfg := newConfig(t)
	cfg.Secrets = manifest.NewSecrets(secret)
	db, _ := openConfig(t, cfg)
	_, err := db.Migrate(t.Context())
	require.NoError(t, err)
	err = db.Failed("ask", db.exec(t.Context(), queryTimeout, "SELECT "+secret))
	require.ErrorContains(t, err, "***")
	require.NotContains(t, err.Error(), secret)
	require.True(t, isServerCode(err, 47), "what it wraps is found as before")
	require.Equal(t, backfill.ClassStore, backfill.ClassOf(err))
}
