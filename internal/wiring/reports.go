package wiring

import "quantbot/internal/clickhouse/report"

// Reports reads what lists, pages and exports show.
func (s *Stores) Reports() report.Reader { return report.New(s.History) }
