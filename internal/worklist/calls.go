package worklist

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"

	"quantbot/internal/candle"
)

// CallsOptions say which calls to read.
type CallsOptions struct {
	// Path is the DuckDB file; it is opened read-only. Nothing in it has a meaning of its own: ?, % and # are characters.
	Path string
	// Query, when set, replaces the known tables; it must give columns mint, chain and ts_ms, in any case.
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
func ReadCalls(ctx context.Context, o CallsOptions) (_ List, err error) {
	db, err := openDatabase(ctx, o.Path)
	if err != nil {
		return List{}, err
	}
	defer func() { err = errors.Join(err, db.close()) }()
	query, args, origin, err := chooseQuery(ctx, db.conn, o)
	if err != nil {
		return List{}, err
	}
	list, err := readRows(ctx, db.conn, query, args, origin, o)
	if ctx.Err() != nil {
		return List{}, ctx.Err() // the interrupt, and not what DuckDB makes of it
	}
	return list, err
}

func chooseQuery(ctx context.Context, db *sql.Conn, o CallsOptions) (query string, args []any, origin string, err error) {
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

const listTablesSQL = `SELECT lower(schema_name || '.' || table_name), lower(column_name) FROM duckdb_columns()
	WHERE NOT internal AND database_name = current_database()`

// listTables returns the columns of each table and view, all names in lower case: DuckDB takes names for the same whatever their
// case, so a file has CALLER_LINKS_D or caller_links_d and never both.
func listTables(ctx context.Context, db *sql.Conn) (map[string][]string, error) {
	rows, err := db.QueryContext(ctx, listTablesSQL)
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

func readRows(ctx context.Context, db *sql.Conn, query string, args []any, origin string, o CallsOptions) (List, error) {
	rows, err := db.QueryContext(ctx, query, args...)
	if err != nil {
		return List{}, inputErrorf("query %s of %s: %s", origin, o.Path, firstLine(err.Error()))
	}
	defer rows.Close()
	columns, err := findColumns(rows, origin)
	if err != nil {
		return List{}, err
	}
	list := List{Origin: origin}
	for number := 1; rows.Next(); number++ {
		row, err := columns.scan(rows)
		if err != nil {
			return List{}, inputErrorf("read row %d of %s: %s", number, origin, firstLine(err.Error()))
		}
		call, reason := row.call(o)
		switch {
		case reason != "":
			list.Skip(Skipped{Where: fmt.Sprintf("row %d", number), Chain: row.chain, Address: row.mint, Reason: reason})
		case call == nil: // of another time
		case len(list.Calls) == MaxEntries:
			return List{}, inputErrorf("%s has more than %d calls in the range: take a shorter --from to --to", origin, MaxEntries)
		default:
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
