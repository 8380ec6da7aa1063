package clickhouse

import (
	"context"
	"fmt"
)

// Services are the services at which each source is asked, by the source's name; a source that is not there was never used.
func (db *DB) Services(ctx context.Context) (map[string][]string, error) {
	type row struct {
		Source   string   `ch:"source"`
		Services []string `ch:"services"`
	}
	rows, err := selectStructs[row](ctx, db, servicesSQL)
	services := make(map[string][]string, len(rows))
	for _, r := range rows {
		services[r.Source] = r.Services
	}
	return services, db.Failed("read at which services sources are asked", err)
}

// AddService writes down the first service of a source, or with moved another address of the same. Of two first ones the
// earlier counts.
func (db *DB) AddService(ctx context.Context, source, service, by string, moved bool) error {
	type row struct {
		Source  string `ch:"source"`
		Service string `ch:"service"`
		Moved   bool   `ch:"moved"`
		By      string `ch:"recorded_by"`
	}
	err := insertStructs(ctx, db, insertServiceSQL, []row{{Source: source, Service: service, Moved: moved, By: by}})
	return db.Failed(fmt.Sprintf("write down at which service %s is asked", source), err)
}
