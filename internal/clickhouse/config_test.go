package clickhouse

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"testing"

	"github.com/stretchr/testify/require"

	"quantbot/internal/backfill"
	"quantbot/internal/clickhouse/report"
	"quantbot/internal/local/localtest"
	"quantbot/internal/secret"
)

const password = "hunter2-secret"

func TestSecretNeverShows(t *testing.T) {
	t.Parallel()
	cfg := Config{Password: password, DSN: "clickhouse://u:" + password + "@h:9000/db"}
	encoded, err := json.Marshal(cfg)
	require.NoError(t, err)
	var logged bytes.Buffer
	slog.New(slog.NewTextHandler(&logged, nil)).Info("x", "password", cfg.Password, "cfg", cfg)
	for _, text := range []string{
		fmt.Sprint(cfg), fmt.Sprintf("%+v", cfg), fmt.Sprintf("%#v", cfg), fmt.Sprintf("%s %q", cfg.Password, cfg.DSN),
		string(encoded), logged.String(),
	} {
		require.NotContains(t, text, password)
	}
}

func TestConfigOptions(t *testing.T) {
	t.Parallel()
	defaults, err := Config{}.options()
	require.NoError(t, err)
	require.Equal(t, []string{"localhost:9000"}, defaults.Addr)
	require.Equal(t, "quantbot", defaults.Auth.Database)
	require.Equal(t, "default", defaults.Auth.Username)

	dsn, err := Config{Host: "ignored", DSN: "clickhouse://ana:p%40ss@ch.example:9440/candles?secure=true"}.options()
	require.NoError(t, err)
	require.Equal(t, []string{"ch.example:9440"}, dsn.Addr)
	require.Equal(t, "candles", dsn.Auth.Database)
	require.Equal(t, "p@ss", dsn.Auth.Password)
	require.NotNil(t, dsn.TLS)

	v6, err := Config{Host: "::1", Port: 9001}.options()
	require.NoError(t, err)
	require.Equal(t, []string{"[::1]:9001"}, v6.Addr)
}

func TestConfigRefusesWithoutThePassword(t *testing.T) {
	t.Parallel()
	for _, dsn := range []string{
		"clickhouse://ana:" + password + "/x#@h:9000/db",
		"clickhouse://ana:" + password + "@h:port/db",
		"http://ana:" + password + "@h:8123/db",
		"clickhouse://ana:" + password + "@h:9000/db?dial_timeout=" + password,
	} {
		_, err := Config{DSN: secret.Text(dsn)}.options()
		require.Error(t, err, dsn)
		require.NotContains(t, err.Error(), password)
	}
}

func TestOpenWhereNothingListens(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	port := listener.Addr().(*net.TCPAddr).Port
	require.NoError(t, listener.Close())

	_, err = Open(t.Context(), Config{Host: "127.0.0.1", Port: port, Password: password}, slog.Default())
	require.ErrorContains(t, err, fmt.Sprintf("ClickHouse at 127.0.0.1:%d does not answer", port))
	require.ErrorContains(t, err, "CLICKHOUSE_HOST")
	require.NotContains(t, err.Error(), password)
	require.Equal(t, backfill.ClassStore, backfill.ClassOf(err))
}

func TestOpenWithAWrongPassword(t *testing.T) {
	t.Parallel()
	cfg := newConfig(t)
	cfg.User, cfg.Password = "nobody", password
	_, err := Open(t.Context(), cfg, slog.Default())
	require.ErrorContains(t, err, `refuses user "nobody"`)
	require.NotContains(t, err.Error(), password)
}

func TestNotMigrated(t *testing.T) {
	t.Parallel()
	db, _ := openConfig(t, newConfig(t))
	_, err := report.New(db).Runs(t.Context(), report.RunFilter{})
	require.ErrorIs(t, err, ErrNoDatabase)
	require.ErrorContains(t, err, "quantbot migrate")

	require.NoError(t, db.createDatabase(t.Context()))
	_, err = report.New(db).Runs(t.Context(), report.RunFilter{})
	require.ErrorIs(t, err, ErrNoDatabase)
}

// A caller that gave up is no trouble of the store.
func TestCancelledIsNoStoreError(t *testing.T) {
	t.Parallel()
	db, _ := openMigrated(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := db.WriteChunk(ctx, newWrite(newRun(0), minutes(1, 1)))
	require.Equal(t, backfill.ClassInterrupted, backfill.ClassOf(err), "%v", err)
	require.Equal(t, backfill.ClassStore, backfill.ClassOf(db.Failed("x", errors.New("y"))))
}

// A user's profile may give names, joins and limits another meaning. What queries rely on is asked for all the same; that it is
// enough show all tests of this package, which run under such a profile.
func TestQueriesMeanTheSameUnderAnyProfile(t *testing.T) {
	t.Parallel()
	options, err := newConfig(t).with(oddProfile).options()
	require.NoError(t, err)
	for name, value := range queriesRelyOn {
		require.Equal(t, value, options.Settings[name], name)
	}
	require.Contains(t, options.Settings, "date_time_output_format", "what nothing relies on stays as the profile has it")
}

func TestAPortOfAnotherProtocolIsNamed(t *testing.T) {
	t.Parallel()
	env := localtest.New(t)
	cfg := Config{Host: env.Host, Port: env.HTTPPort, User: env.User, Password: secret.Text(env.Password), Database: env.Database}
	_, err := Open(t.Context(), cfg, slog.New(slog.DiscardHandler))
	require.ErrorContains(t, err, "that is the HTTP port; CLICKHOUSE_PORT must be the native one")
}
