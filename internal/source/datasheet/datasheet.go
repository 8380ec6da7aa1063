// Package datasheet is what a market-data source says of itself: which candles it has, what it costs, which settings it reads, and
// how it is opened. Everything that differs between sources outside their packages follows from it.
package datasheet

import (
	"cmp"
	"log/slog"
	"slices"
	"time"

	"quantbot/internal/candle"
	"quantbot/internal/config"
	"quantbot/internal/source/breaker"
	"quantbot/internal/source/service"
)

// Sheet is the data sheet of a source. The source declares it in its own package, and internal/source/register lists it.
type Sheet struct {
	// SourceSettings has the source's name, and what the environment can say of it.
	config.SourceSettings
	// Title is what people call the service.
	Title     string
	Chains    []candle.Chain
	Intervals []candle.Interval
	// Venue is the chain of tokens that name none; "" = DefaultVenue. An exchange has its market here.
	Venue candle.Chain
	// PageSize is the most candles of one response, and Paging says in which order pages come and what proves the last one.
	PageSize int
	Paging   string
	// SettleDelay is how long after its close a candle may still change at the source.
	SettleDelay time.Duration
	// Retention is how far back the source surely has candles; 0 = to the token's beginning.
	Retention time.Duration
	// Price says what a call costs.
	Price string
	// PageWeight is what a page of candles weighs of the rate.
	PageWeight int
	// FiltersOutliers says that the source can leave unlikely prices out (--outliers filter).
	FiltersOutliers bool
	// ProbeCosts says that the source charges for a probe, so that doctor sends one only when it is asked to.
	ProbeCosts bool
	// Open returns the source; nothing is sent before the first request.
	Open func(Opening) (breaker.Source, error)
}

// DefaultVenue is the chain of tokens that name none.
const DefaultVenue = candle.Solana

// Opening is what a source is opened with.
type Opening struct {
	// Settings are what the environment says.
	Settings config.Source
	// Accounts are one for each key, or the only one of a source that wants none.
	Accounts  []service.Account
	UserAgent string
	// Concurrency is how many requests are under way at once.
	Concurrency int
	Logger      *slog.Logger
	Now         func() time.Time
}

// HomeVenue is the chain of tokens that name none.
func (s Sheet) HomeVenue() candle.Chain { return cmp.Or(s.Venue, DefaultVenue) }

// Supports reports whether the source has candles of the chain at the interval.
func (s Sheet) Supports(chain candle.Chain, interval candle.Interval) bool {
	return slices.Contains(s.Chains, chain) && slices.Contains(s.Intervals, interval)
}

// CallsPerSecond is how many pages of candles all workers together may ask for.
func (s Sheet) CallsPerSecond(settings config.Source) float64 {
	return settings.PerSecond() * float64(max(len(settings.Keys), 1)) / float64(s.PageWeight)
}

// PointedAt are the variables of the environment that lead to a service at another place, such as the simulated market.
func (s Sheet) PointedAt(baseURL, key, rate string) map[string]string {
	variables := map[string]string{s.Places[0].Variable: baseURL}
	if s.Key != "" {
		variables[s.Key] = key
	}
	if s.Rate.Variable != "" {
		variables[s.Rate.Variable] = rate
	}
	return variables
}
