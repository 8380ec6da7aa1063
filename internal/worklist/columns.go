package worklist

import (
	"database/sql"
	"fmt"
	"slices"
	"strings"
)

// callColumns says where a result has the mint, the chain and the time of a call.
type callColumns struct {
	mint, chain, at int
	cells, targets  []any
}

// findColumns looks for the columns by name, as DuckDB compares names, and refuses types that cannot hold what they should.
func findColumns(rows *sql.Rows, origin string) (c callColumns, err error) {
	types, err := rows.ColumnTypes()
	if err != nil {
		return c, fmt.Errorf("read the columns of %s: %w", origin, err)
	}
	names := make([]string, len(types))
	for i, column := range types {
		names[i] = column.Name()
	}
	wanted := []struct {
		name    string
		at      *int
		fits    func(databaseType string) bool
		instead string
	}{
		{"mint", &c.mint, isText, "text"},
		{"chain", &c.chain, isText, "text"},
		{"ts_ms", &c.at, isTime, "Unix milliseconds or a TIMESTAMP"},
	}
	for _, w := range wanted {
		named := func(name string) bool { return strings.EqualFold(name, w.name) }
		if *w.at = slices.IndexFunc(names, named); *w.at < 0 {
			return c, inputErrorf("%s must give the columns mint, chain and ts_ms; it gives %s", origin, strings.Join(names, ", "))
		}
		if slices.ContainsFunc(names[*w.at+1:], named) {
			return c, inputErrorf("%s gives two columns %s: give one of them another name", origin, w.name)
		}
	}
	for _, w := range wanted {
		if has := types[*w.at].DatabaseTypeName(); !w.fits(has) {
			return c, inputErrorf("%s gives %s as %s instead of %s: cast it with --calls-query", origin, w.name, has, w.instead)
		}
	}
	c.cells, c.targets = make([]any, len(names)), make([]any, len(names))
	for i := range c.cells {
		c.targets[i] = &c.cells[i]
	}
	return c, nil
}

func (c *callColumns) scan(rows *sql.Rows) (callRow, error) {
	if err := rows.Scan(c.targets...); err != nil {
		return callRow{}, err
	}
	return callRow{mint: text(c.cells[c.mint]), chain: text(c.cells[c.chain]), at: c.cells[c.at]}, nil
}

// isText goes by DuckDB's name of a type. An ENUM comes as text.
func isText(databaseType string) bool {
	return databaseType == "VARCHAR" || strings.HasPrefix(databaseType, "ENUM")
}

var timeTypes = []string{
	"TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT", "UHUGEINT", "FLOAT", "DOUBLE", "DATE",
}

// isTime goes by DuckDB's name of a type: DECIMAL has its digits, and TIMESTAMP its unit, after it.
func isTime(databaseType string) bool {
	return slices.Contains(timeTypes, databaseType) || strings.HasPrefix(databaseType, "DECIMAL") || strings.HasPrefix(databaseType, "TIMESTAMP") &&
		!strings.HasSuffix(databaseType, "]")
}
