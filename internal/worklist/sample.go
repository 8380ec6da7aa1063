package worklist

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/duckdb/duckdb-go/v2"
)

// WriteSample makes a DuckDB file with the calls in a table caller_links_d, for the demo and for tests. It refuses to
// touch a file that is there.
func WriteSample(ctx context.Context, path string, calls []Call) (err error) {
	if _, statErr := os.Stat(path); statErr == nil {
		return inputErrorf("%s is there already", path)
	}
	full, err := filepath.Abs(path)
	if err != nil {
		return fmt.Errorf("create %s: %w", path, err)
	}
	file, err := startDuckDB(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.close()) }()
	const name = "sample"
	for _, statement := range []string{"ATTACH " + quoted("'", full) + " AS " + name, "USE " + name, createSampleSQL} {
		if _, err := file.conn.ExecContext(ctx, statement); err != nil {
			return fmt.Errorf("create %s: %w", path, err)
		}
	}
	return file.conn.Raw(func(conn any) error { return appendCalls(conn.(driver.Conn), name, calls) })
}

const createSampleSQL = `CREATE TABLE caller_links_d (
	trigger_chat_id VARCHAR, trigger_message_id BIGINT, trigger_ts_ms BIGINT, mint VARCHAR, chain VARCHAR, side VARCHAR)`

func appendCalls(conn driver.Conn, database string, calls []Call) error {
	appender, err := duckdb.NewAppender(conn, database, "main", "caller_links_d")
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
