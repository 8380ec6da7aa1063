package cli

import (
	"time"

	"github.com/jedib0t/go-pretty/v6/table"

	"quantbot/internal/clickhouse"
	"quantbot/internal/export"
)

// sqlResult passes a result on, once its columns are known.
type sqlResult struct {
	open    func([]export.Column) export.Rows[[]any]
	rows    export.Rows[[]any]
	limit   int // of a table
	written int64
}

func (r *sqlResult) columns(found []clickhouse.ResultColumn) error {
	columns := make([]export.Column, len(found))
	for i, c := range found {
		columns[i] = export.Column{Name: c.Name, Kind: export.KindOf(c.Type)}
	}
	r.rows = r.open(columns)
	return nil
}

func (r *sqlResult) row(row []any) error {
	if _, isTable := r.rows.(*resultTable); isTable && r.written == int64(r.limit) {
		return errEnough
	}
	r.written++
	return r.rows.Write(row)
}

// resultTable prints a result for people.
type resultTable struct{ table *grid }

func (a *app) newResultTable(columns []export.Column) *resultTable {
	header := make([]any, len(columns))
	for i, c := range columns {
		header[i] = c.Name
	}
	t := a.newTable(header...)
	t.verbatim = true // names of columns are as the statement has them
	return &resultTable{t}
}

func (t *resultTable) Write(row []any) error {
	cells := make(table.Row, len(row))
	for i, value := range row {
		cells[i] = export.TextOf(value)
		if at, ok := value.(time.Time); ok {
			cells[i] = at.UTC().Format("2006-01-02 15:04:05.999999")
		}
	}
	t.table.AppendRow(cells)
	return nil
}

func (t *resultTable) Close() error {
	t.table.Render()
	return nil
}
