package worklist

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/duckdb/duckdb-go/v2"

	"quantbot/internal/candle"
)

// CallsOptions say which calls to read.
type CallsOptions struct {
	// Path is the DuckDB file; it is opened read-only.
	Path string
	// Query, when set, replaces the known tables; it must give columns mint, chain and ts_ms.
	Query string
	// Range limits the time of the calls.
	Range candle.Range
	// Side limits the calls where the table has a column side; empty = all.
	Side string
	// EVMChain is what the chain name "evm" of canon.alerts_std stands for; empty = such rows are skipped.
	EVMChain candle.Chain
}

// callTable is a table that holds calls, and the query that gives them as mint, chain, ts_ms.
type callTable struct {
	schema, name string
	query        string
	// sided tells that the query takes the side as its argument when the table has such a column.
	sided bool
}

// callTables are looked for in this order. A user_calls_d has no chain: everything in it is Solana by definition.
var callTables = []callTable{
	{"main", "caller_links_d", "SELECT mint, chain, trigger_ts_ms AS ts_ms FROM caller_links_d", true},
	{"main", "user_calls_d", "SELECT mint, 'solana' AS chain, call_ts_ms AS ts_ms FROM user_calls_d", false},
	{"canon", "alerts_std", "SELECT mint, chain, alert_ts_ms AS ts_ms FROM canon.alerts_std", false},
}

// ReadCalls reads the calls whose time lies in the range. Errors that the user can mend satisfy errors.Is(err, ErrInput).
func ReadCalls(ctx context.Context, o CallsOptions) (List, error) {
	db, err := open(ctx, o.Path)
	if err != nil {
		return List{}, err
	}
	defer db.Close()
	query, args, origin, err := chooseQuery(ctx, db, o)
	if err != nil {
		return List{}, err
	}
	return readRows(ctx, db, query, args, origin, o)
}

func open(ctx context.Context, path string) (*sql.DB, error) {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, inputErrorf("there is no file %s", path)
	case err != nil:
		return nil, inputErrorf("cannot open %s: %v", path, err)
	case info.IsDir():
		return nil, inputErrorf("%s is a directory, not a DuckDB file", path)
	}
	// A query of the user's must not read other files or the network.
	connector, err := duckdb.NewConnector(path+"?access_mode=read_only&enable_external_access=false&lock_configuration=true", nil)
	if err != nil {
		return nil, openError(path, err)
	}
	db := sql.OpenDB(connector)
	db.SetMaxOpenConns(1)
	if err := db.PingContext(ctx); err != nil {
		return nil, errors.Join(openError(path, err), db.Close())
	}
	return db, nil
}

// openError says in one sentence what is wrong with the file. DuckDB tells its reasons by text only.
func openError(path string, err error) error {
	text := err.Error()
	switch {
	case strings.Contains(text, "lock on file"):
		return inputErrorf("%s is open for writing in another process: close it there, or give a copy of the file", path)
	case strings.Contains(text, "not a valid DuckDB database"):
		return inputErrorf("%s is no DuckDB file", path)
	case strings.Contains(text, "newer version"), strings.Contains(text, "storage version"), strings.Contains(text, "database file with version"):
		return inputErrorf("%s was written by a newer DuckDB than this program has: export it with an older storage version", path)
	}
	return inputErrorf("cannot open %s as a DuckDB file: %s", path, firstLine(text))
}

func firstLine(text string) string {
	line, _, _ := strings.Cut(text, "\n")
	return line
}

func chooseQuery(ctx context.Context, db *sql.DB, o CallsOptions) (query string, args []any, origin string, err error) {
	if o.Query != "" {
		return o.Query, nil, "--calls-query", nil
	}
	tables, err := listTables(ctx, db)
	if err != nil {
		return "", nil, "", err
	}
	for _, table := range callTables {
		columns, found := tables[table.schema+"."+table.name]
		if !found {
			continue
		}
		query, args = table.query, nil
		if table.sided && o.Side != "" && slices.Contains(columns, "side") {
			// A call without a side is one from before sides were recorded, when all were buys.
			query, args = query+" WHERE lower(coalesce(side, 'buy')) = lower(?)", []any{o.Side}
		}
		return query, args, strings.TrimPrefix(table.schema+"."+table.name, "main."), nil
	}
	names := make([]string, 0, len(tables))
	for name := range tables {
		names = append(names, strings.TrimPrefix(name, "main."))
	}
	slices.Sort(names)
	found := "it has no tables"
	if len(names) > 0 {
		found = "it has " + strings.Join(names[:min(len(names), 10)], ", ")
	}
	return "", nil, "", inputErrorf("%s has none of the tables caller_links_d, user_calls_d, canon.alerts_std (%s): name the calls with --calls-query", o.Path, found)
}

// listTables returns the lower-case columns of each table and view.
func listTables(ctx context.Context, db *sql.DB) (map[string][]string, error) {
	rows, err := db.QueryContext(ctx, "SELECT schema_name || '.' || table_name, lower(column_name) FROM duckdb_columns() WHERE NOT internal")
	if err != nil {
		return nil, inputErrorf("list the tables: %s", firstLine(err.Error()))
	}
	defer rows.Close()
	tables := make(map[string][]string)
	for rows.Next() {
		var table, column string
		if err := rows.Scan(&table, &column); err != nil {
			return nil, fmt.Errorf("list the tables: %w", err)
		}
		tables[table] = append(tables[table], column)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("list the tables: %w", err)
	}
	return tables, nil
}

func readRows(ctx context.Context, db *sql.DB, query string, args []any, origin string, o CallsOptions) (List, error) {
	rows, err := db.QueryContext(ctx, query, args...)
	if err != nil {
		return List{}, inputErrorf("query %s of %s: %s", origin, o.Path, firstLine(err.Error()))
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		return List{}, fmt.Errorf("read the columns of %s: %w", origin, err)
	}
	mint, chain, at := slices.Index(columns, "mint"), slices.Index(columns, "chain"), slices.Index(columns, "ts_ms")
	if mint < 0 || chain < 0 || at < 0 {
		return List{}, inputErrorf("%s must give the columns mint, chain and ts_ms; it gives %s", origin, strings.Join(columns, ", "))
	}
	list := List{Origin: origin}
	cells := make([]any, len(columns))
	targets := make([]any, len(columns))
	for i := range cells {
		targets[i] = &cells[i]
	}
	for number := 1; rows.Next(); number++ {
		if err := rows.Scan(targets...); err != nil {
			return List{}, fmt.Errorf("read row %d of %s: %w", number, origin, err)
		}
		row := callRow{mint: text(cells[mint]), chain: text(cells[chain]), at: cells[at]}
		call, reason := row.call(o)
		switch {
		case reason != "":
			list.Skip(Skipped{Where: fmt.Sprintf("row %d", number), Chain: row.chain, Address: row.mint, Reason: reason})
		case call != nil:
			list.Calls = append(list.Calls, *call)
		}
	}
	if err := rows.Err(); err != nil {
		return List{}, inputErrorf("read %s of %s: %s", origin, o.Path, firstLine(err.Error()))
	}
	list.sort()
	list.Tokens = CalledTokens(list.Calls)
	return list, nil
}
