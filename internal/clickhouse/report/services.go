package report

import (
	"context"
	"fmt"
)

// EarlierService is where runs asked a source before the database kept it: the service by name, or a base URL; both empty
// mean the vendor's own address.
type EarlierService struct {
	Service string `ch:"service"`
	BaseURL string `ch:"base_url"`
}

// EarlierServices are those of the runs that have candles of the source; variable is the environment's name of its base URL.
func (db Reader) EarlierServices(ctx context.Context, source, variable string) ([]EarlierService, error) {
	earlier, err := selectStructs[EarlierService](ctx, db, earlierServicesSQL, named("source", source), named("variable", variable))
	return earlier, db.failed(fmt.Sprintf("read where %s was asked", source), err)
}
