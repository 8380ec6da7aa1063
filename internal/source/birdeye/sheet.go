package birdeye

import (
	"maps"
	"slices"
	"time"

	"quantbot/internal/config"
	"quantbot/internal/source/breaker"
	"quantbot/internal/source/datasheet"
)

// baseURL is the variable of the API's base URL.
const baseURL = "BIRDEYE_BASE_URL"

// Sheet is the source's data sheet. 15 requests a second is what the vendor's smaller plans allow.
func Sheet() datasheet.Sheet {
	return datasheet.Sheet{
		SourceSettings: config.SourceSettings{
			Name: Name,
			Help: "Birdeye: the key (sent in a header, never shown), the service's URL, and the requests a second that the plan allows.",
			Key:  "BIRDEYE_API_KEY",
			Places: []config.PlaceSetting{
				{Name: Name, Variable: baseURL, Default: "https://public-api.birdeye.so"},
			},
			Rate: config.RateSetting{Variable: "BIRDEYE_RPS", Default: 15, Per: time.Second},
		},
		Title:           "Birdeye",
		Chains:          supportedChains,
		Intervals:       slices.Sorted(maps.Keys(intervalNames)),
		PageSize:        pageSize,
		Paging:          "oldest first; fewer candles than a page holds prove the rest empty",
		SettleDelay:     settleDelay,
		Price:           "60, 90 or 120 compute units a call, by the candles asked for (below 1,000, to 2,000, more)",
		PageWeight:      1,
		FiltersOutliers: true,
		ProbeCosts:      true,
		Open:            openConfigured,
	}
}

// openConfigured is datasheet.Sheet.Open.
func openConfigured(o datasheet.Opening) (breaker.Source, error) {
	return New(Config{
		BaseURL: o.Settings.BaseURL(), Accounts: o.Accounts, UserAgent: o.UserAgent, Concurrency: o.Concurrency, Logger: o.Logger, Now: o.Now,
	})
}
