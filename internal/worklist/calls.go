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
	// Side limits the calls, SideBuy or SideSell; empty = all. A known table without a column side has buys alone.
	Side string
	// EVMChain is what the chain name "evm" of canon.alerts_std stands for; empty = such rows are skipped.
	EVMChain candle.Chain
}

// callTable is a table that holds calls, and the query that gives them as mint, chain, ts_ms.
type callTable struct {
	schema, name string
	query        string
}

// callTables are looked for in this order. A user_calls_d has no chain: everything in it is Solana by definition.
var callTables = []callTable{
	{"main", "caller_links_d", "SELECT mint, chain, trigger_ts_ms AS ts_ms FROM caller_links_d"},
	{"main", "user_calls_d", "SELECT mint, 'solana' AS chain, call_ts_ms AS ts_ms FROM user_calls_d"},
	{"canon", "alerts_std", "SELECT mint, chain, alert_ts_ms AS ts_ms FROM canon.alerts_std"},
}

func (t callTable) String() string { return strings.TrimPrefix(t.schema+"."+t.name, "main.") }

// The sides that a call can have. A call without one is from before sides were recorded, when all were buys.
const (
	SideBuy  = "buy"
	SideSell = "sell"
)

// ReadCalls reads the calls whose time lies in the range. Errors that the user can mend satisfy errors.Is(err, ErrInput).
func ReadCalls(ctx context.Context, o CallsOptions) (_ List, err error) {
	db, err := openDatabase(ctx, o.Path)
	if err != nil {
		return List{}, err
	}
	defer func() { err = errors.Join(err, db.close()) }()
	list, err := readDatabase(ctx, db.conn, o)
	if ctx.Err() != nil {
		return List{}, ctx.Err() // the interrupt, and not what DuckDB makes of it
	}
	return list, err
}

func readDatabase(ctx context.Context, db *sql.Conn, o CallsOptions) (List, error) {
	if o.Query != "" {
		return readRows(ctx, db, o.Query, nil, "--calls-query", o)
	}
	tables, err := listTables(ctx, db)
	if err != nil {
		return List{}, err
	}
	var found []callTable
	for _, table := range callTables {
		if tables[table.schema+"."+table.name] != nil {
			found = append(found, table)
		}
	}
	if len(found) == 0 {
		return List{}, noCalls(o.Path, tables)
	}
	query, args := found[0].query, []any(nil)
	switch sided := slices.Contains(tables[found[0].schema+"."+found[0].name], "side"); {
	case o.Side == "":
	case sided:
		query, args = query+" WHERE lower(coalesce(side, '"+SideBuy+"')) = lower(?)", []any{o.Side}
	case o.Side != SideBuy:
		return List{}, inputErrorf("%s of %s has no column side, so --side %s cannot choose in it", found[0], o.Path, o.Side)
	}
	list, err := readRows(ctx, db, query, args, found[0].String(), o)
	if err != nil {
		return List{}, err
	}
	list.Others, err = otherCalls(ctx, db, found[1:])
	return list, err
}

// otherCalls says which tables with calls are not read, and how much they hold.
func otherCalls(ctx context.Context, db *sql.Conn, tables []callTable) (string, error) {
	var others []string
	for _, table := range tables {
		var rows int64
		if err := db.QueryRowContext(ctx, "SELECT count(*) FROM "+table.String()).Scan(&rows); err != nil {
			return "", inputErrorf("count the rows of %s: %s", table, firstLine(err.Error()))
		}
		others = append(others, fmt.Sprintf("%s (rows: %d)", table, rows))
	}
	return strings.Join(others, ", "), nil
}

// noCalls says which tables there are instead.
func noCalls(path string, tables map[string][]string) error {
	names := make([]string, 0, len(tables))
	for name := range tables {
		names = append(names, strings.TrimPrefix(name, "main."))
	}
	slices.Sort(names)
	found := "it has no tables"
	if len(names) > 0 {
		found = "it has " + strings.Join(names[:min(len(names), 10)], ", ")
	}
	return inputErrorf("%s has none of the tables caller_links_d, user_calls_d, canon.alerts_std (%s): name the calls with --calls-query", path, found)
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
