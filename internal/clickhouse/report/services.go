package report

import (
	"context"
	"fmt"

	"quantbot/internal/backfill"
)

// EarlierServices are those of the runs that have candles of the source; variable is the environment's name of its base URL.
func (db Reader) EarlierServices(ctx context.Context, source, variable string) ([]backfill.EarlierService, error) {
	type row struct {
		Service string `ch:"service"`
		BaseURL string `ch:"base_url"`
	}
	rows, err := selectStructs[row](ctx, db, earlierServicesSQL, named("source", source), named("variable", variable))
	earlier := make([]backfill.EarlierService, len(rows))
	for i, r := range rows {
		earlier[i] = backfill.EarlierService(r)
	}
	return earlier, db.failed(fmt.Sprintf("read where %s was asked", source), err)
}
