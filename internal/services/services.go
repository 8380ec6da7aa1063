// Package services keeps a deployment to one service for each source: what two services say never shares a database, nor do simulated
// and real candles (R13).
package services

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"quantbot/internal/backfill"
	"quantbot/internal/config"
	"quantbot/internal/manifest"
)

// Of returns where these sources are asked, as a run's manifest has them.
func Of(cfg config.Config, sources ...string) map[string]string {
	services := make(map[string]string)
	for _, source := range sources {
		for _, place := range cfg.Services(source) {
			services[place.Source] = place.Name()
		}
	}
	return services
}

// OfRun returns the function that says where a run asks its sources. One of before that was recorded asked where its environment
// said, or else the vendors; an unknown service of this machine may be any.
func OfRun(cfg config.Config) func(m *manifest.Manifest) map[string]string {
	return func(m *manifest.Manifest) map[string]string {
		if len(m.Services) > 0 || len(m.EnvInfo) == 0 {
			return m.Services
		}
		services := make(map[string]string)
		for _, source := range append([]string{m.Source}, m.Fallbacks...) {
			for _, place := range cfg.Services(source) {
				if name := earlierName(place, backfill.EarlierService{BaseURL: m.EnvInfo[place.Variable]}); name != config.LoopbackService {
					services[place.Source] = name
				}
			}
		}
		return services
	}
}

// earlierName is the service that a run asked at the place.
func earlierName(place config.Service, earlier backfill.EarlierService) string {
	switch {
	case earlier.Service != "":
		return earlier.Service
	case earlier.BaseURL != "":
		return config.ServiceAt(earlier.BaseURL)
	}
	return config.ServiceAt(place.Default)
}

// History is what is kept of services.
type History interface {
	// Services returns the services of each source, the first one first, by the names that places have in manifests.
	Services(ctx context.Context) (map[string][]string, error)
	// AddService writes down at which service a source is asked; moved says that it is the same service at another address.
	AddService(ctx context.Context, source, service, by string, moved bool) error
	// EarlierServices returns where runs asked the source before the database kept it.
	EarlierServices(ctx context.Context, source, variable string) ([]backfill.EarlierService, error)
}

// Checker compares where sources are configured to be asked with where the database's candles come from.
type Checker struct {
	Config  config.Config
	History History
	// Database is the database's name, for people.
	Database string
}

// Use writes down at which services the sources are asked that are used for the first time, and returns those of all
// for the run's manifest. A *backfill.StrangerError says that one of them was asked elsewhere. by is who asks.
func (c *Checker) Use(ctx context.Context, by string, sources ...string) (map[string]string, error) {
	known, err := c.History.Services(ctx)
	if err != nil {
		return nil, err
	}
	if err := c.Check(ctx, sources...); err != nil {
		return nil, err
	}
	for _, source := range sources {
		for _, place := range c.Config.Services(source) {
			if len(known[place.Source]) > 0 {
				continue
			}
			if err := c.History.AddService(ctx, place.Source, place.Name(), by, false); err != nil {
				return nil, err
			}
		}
	}
	// Of two processes that were the first, with different services, one was faster.
	return Of(c.Config, sources...), c.Check(ctx, sources...)
}

// Check says, by a *backfill.StrangerError, that the database's candles of a source come from another service than the
// configured one. It writes nothing.
func (c *Checker) Check(ctx context.Context, sources ...string) error {
	known, err := c.History.Services(ctx)
	if err != nil {
		return err
	}
	for _, source := range sources {
		for _, place := range c.Config.Services(source) {
			services := known[place.Source]
			if len(services) == 0 && place.Source == source {
				if services, err = c.earlier(ctx, place); err != nil {
					return err
				}
			}
			name := place.Name()
			if len(services) > 0 && !slices.Contains(services, name) {
				return &backfill.StrangerError{Reason: fmt.Sprintf("%s was asked at %s for database %s, and would be asked at %s now: what two services say never shares a database. Use another one (CLICKHOUSE_DATABASE, or --local=DIR), or correct %s; if it is the same service at another address: quantbot migrate --service-moved %s",
					place.Source, services[0], c.Database, name, place.Variable, source)}
			}
		}
	}
	return c.keepKindsApart(known, sources)
}

// keepKindsApart refuses a run by which simulated and real candles would come to share the database, though from different
// sources: whoever reads prices there takes all of them for real (R13).
func (c *Checker) keepKindsApart(known map[string][]string, sources []string) error {
	asked := make(map[string]string, len(known))
	for source, services := range known {
		asked[source] = services[0]
	}
	for _, source := range sources {
		for _, place := range c.Config.Services(source) {
			name := place.Name()
			for _, other := range slices.Sorted(maps.Keys(asked)) {
				if other != place.Source && config.OtherKind(name, asked[other]) {
					return &backfill.StrangerError{Reason: fmt.Sprintf("%s is asked at %s for database %s, and %s would be asked at %s: simulated and real candles never share a database. Use another one (CLICKHOUSE_DATABASE, or --local=DIR), or correct %s",
						other, asked[other], c.Database, place.Source, name, place.Variable)}
				}
			}
			asked[place.Source] = name
		}
	}
	return nil
}

// earlier are the services where runs asked before the database kept it. What ran on this machine may have been simulated or not.
func (c *Checker) earlier(ctx context.Context, place config.Service) (names []string, err error) {
	earlier, err := c.History.EarlierServices(ctx, place.Source, place.Variable)
	for _, e := range earlier {
		name := earlierName(place, e)
		names = append(names, name)
		if e.Service == "" && name == config.LoopbackService {
			names = append(names, config.SimulatedService)
		}
	}
	return names, err
}
