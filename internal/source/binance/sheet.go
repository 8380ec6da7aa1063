package binance

import (
	"time"

	"quantbot/internal/candle"
	"quantbot/internal/config"
	"quantbot/internal/source/breaker"
	"quantbot/internal/source/datasheet"
)

// The variables of the base URLs of the API and of the published files.
const (
	baseURL = "BINANCE_BASE_URL"
	dumpURL = "BINANCE_DUMP_URL"
)

// weightPerSecond is the request weight that all workers together use: 90 % of the 6,000 a minute that the service allows an
// address.
const weightPerSecond = 90

// Sheet is the source's data sheet. The vendor's host for market data only is kinder to shared addresses than its trading hosts.
func Sheet() datasheet.Sheet {
	return datasheet.Sheet{
		SourceSettings: config.SourceSettings{
			Name: Name,
			Help: "Binance wants no key; its service counts by address, so all workers together keep to one allowance.",
			Places: []config.PlaceSetting{
				{Name: Name, Variable: baseURL, Default: "https://data-api.binance.vision"},
				{
					Name: Name + " files", Variable: dumpURL, Default: "https://data.binance.vision", Optional: true,
					Help: "Whole days and months come from the files published here; empty = from the API alone",
				},
			},
			Rate: config.RateSetting{Default: weightPerSecond, Per: time.Second},
		},
		Title:       "Binance spot",
		Chains:      []candle.Chain{candle.BinanceSpot},
		Intervals:   intervals,
		Venue:       candle.BinanceSpot,
		PageSize:    pageSize,
		Paging:      "oldest first; fewer candles than a page holds prove the rest empty",
		SettleDelay: settleDelay,
		Price:       "free; a page weighs 2",
		PageWeight:  pageWeight,
		Open:        openConfigured,
	}
}

// openConfigured is datasheet.Sheet.Open.
func openConfigured(o datasheet.Opening) (breaker.Source, error) {
	return New(Config{
		BaseURL: o.Settings.BaseURL(), DumpURL: o.Settings.BaseURLs[dumpURL], Account: o.Accounts[0],
		UserAgent: o.UserAgent, Concurrency: o.Concurrency, Logger: o.Logger, Now: o.Now,
	})
}
