package dashboard

import (
	"context"
	"net/http"

	"quantbot/internal/clickhouse"
)

type runsHistory interface {
	Runs(ctx context.Context, filter clickhouse.RunFilter) ([]clickhouse.RunRow, error)
}

type runsData struct {
	Runs []clickhouse.RunRow `json:"runs"`
}

func (d *Dashboard) runsPage() page {
	return page{path: "/", api: "/api/runs", template: "runs.html", section: "Runs", load: d.loadRuns}
}

func (d *Dashboard) loadRuns(r *http.Request) (content, error) {
	q := readQuery(r, d.cfg.Now)
	limit := q.number("limit", 50, 1, 200)
	if err := q.err(); err != nil {
		return content{}, err
	}
	rows, err := d.cfg.History.Runs(r.Context(), clickhouse.RunFilter{Limit: limit})
	if err != nil {
		return content{}, err
	}
	return content{Title: "Runs", Data: runsData{Runs: rows}}, nil
}
