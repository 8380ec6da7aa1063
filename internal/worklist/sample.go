package worklist

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"

	"github.com/duckdb/duckdb-go/v2"
)

// WriteSample makes a DuckDB file with the calls in a table caller_links_d, for the demo and for tests. It refuses to
// touch a file that is there.
func WriteSample(ctx context.Context, path string, calls []Call) (err error) {
	if _, statErr := os.Stat(path); statErr == nil {
		return inputErrorf("%s is there already", path)
	}
	connector, err := duckdb.NewConnector(path, nil)
	if err != nil {
		return fmt.Errorf("create %s: %w", path, err)
	}
	db := sql.OpenDB(connector)
	defer func() { err = errors.Join(err, db.Close()) }()
	const create = `CREATE TABLE caller_links_d (
		trigger_chat_id VARCHAR, trigger_message_id BIGINT, trigger_ts_ms BIGINT, mint VARCHAR, chain VARCHAR, side VARCHAR)`
	if _, err := db.ExecContext(ctx, create); err != nil {
		return fmt.Errorf("create caller_links_d: %w", err)
	}
	conn, err := connector.Connect(ctx)
	if err != nil {
		return fmt.Errorf("open %s: %w", path, err)
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	appender, err := duckdb.NewAppenderFromConn(conn, "", "caller_links_d")
	if err != nil {
		return fmt.Errorf("write calls: %w", err)
	}
	for i, call := range calls {
		if err := appender.AppendRow("sample", int64(i), call.AtMS, call.Token.Address, string(call.Token.Chain), "buy"); err != nil {
			return errors.Join(fmt.Errorf("write call %d: %w", i, err), appender.Close())
		}
	}
	if err := appender.Close(); err != nil {
		return fmt.Errorf("write calls: %w", err)
	}
	return nil
}
