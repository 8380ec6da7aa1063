package geckoterminal

import (
	"maps"
	"slices"
	"time"

	"quantbot/internal/config"
	"quantbot/internal/source/breaker"
	"quantbot/internal/source/datasheet"
)

// baseURL is the variable of the API's base URL.
const baseURL = "GECKOTERMINAL_BASE_URL"

// Sheet is the source's data sheet. The vendor documents 30 requests a minute, and users meet refusals below that.
func Sheet() datasheet.Sheet {
	return datasheet.Sheet{
		SourceSettings: config.SourceSettings{
			Name: Name,
			Help: "GeckoTerminal wants no key; its service counts by address, so all workers together keep to one allowance, in requests a minute.",
			Places: []config.PlaceSetting{
				{Name: Name, Variable: baseURL, Default: "https://api.geckoterminal.com/api/v2"},
			},
			Rate: config.RateSetting{Variable: "GECKOTERMINAL_RPM", Default: 20, Per: time.Minute},
		},
		Title:       "GeckoTerminal",
		Chains:      slices.Sorted(maps.Keys(networks)),
		Intervals:   slices.Sorted(maps.Keys(timeframes)),
		PageSize:    pageSize,
		Paging:      "newest first; a candle at or before the range's begin, or nothing older, proves the range complete",
		SettleDelay: settleDelay,
		Retention:   retention,
		Price:       "free; the first call of a token finds its pool",
		PageWeight:  1,
		Open:        openConfigured,
	}
}

// openConfigured is datasheet.Sheet.Open.
func openConfigured(o datasheet.Opening) (breaker.Source, error) {
	return New(Config{
		BaseURL: o.Settings.BaseURL(), Account: o.Accounts[0], UserAgent: o.UserAgent, Concurrency: o.Concurrency, Logger: o.Logger, Now: o.Now,
	})
}
