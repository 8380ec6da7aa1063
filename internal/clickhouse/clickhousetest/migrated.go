package clickhousetest

import (
	"log/slog"
	"testing"

	"quantbot/internal/clickhouse"
	"quantbot/internal/local/localtest"
	"quantbot/internal/secret"
)

// migrated is what the migrations leave of an empty database.
var migrated localtest.Template

// New gives the test databases of its own as localtest.New does. The one of ClickHouse is migrated.
func New(t testing.TB) *localtest.Env {
	t.Helper()
	env := localtest.New(t)
	Migrate(t, env)
	return env
}

// Migrate migrates the test's database, by a copy of one that was migrated.
func Migrate(t testing.TB, env *localtest.Env) {
	t.Helper()
	migrated.Copy(t, env, env.Database, func(template string) {
		cfg := clickhouse.Config{
			Host: env.Host, Port: env.NativePort, Database: template, User: env.User, Password: secret.Text(env.Password),
		}
		db, err := clickhouse.Open(t.Context(), cfg, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatalf("open the template of the test's database: %v", err)
		}
		defer db.Close()
		if _, err := db.Migrate(t.Context()); err != nil {
			t.Fatalf("migrate the template of the test's database: %v", err)
		}
	})
}
