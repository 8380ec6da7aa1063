// Package register lists the market-data sources. A source is one package, whose data sheet says everything that the others have to
// know of it, and one line here.
package register

import (
	"slices"
	"strings"
	"time"

	"quantbot/internal/candle"
	"quantbot/internal/config"
	"quantbot/internal/source/binance"
	"quantbot/internal/source/birdeye"
	"quantbot/internal/source/datasheet"
	"quantbot/internal/source/geckoterminal"
)

// DefaultName is the source of runs that name none.
const DefaultName = birdeye.Name

// Sheets are the data sheets of all sources, in the order in which their settings are read.
func Sheets() []datasheet.Sheet {
	return []datasheet.Sheet{
		birdeye.Sheet(),
		geckoterminal.Sheet(),
		binance.Sheet(),
	}
}

// Find returns the source's data sheet; ok is false for a source that is not known.
func Find(name string) (sheet datasheet.Sheet, ok bool) {
	for _, s := range Sheets() {
		if s.Name == name {
			return s, true
		}
	}
	return datasheet.Sheet{}, false
}

// Default is the data sheet of the source of runs that name none.
func Default() datasheet.Sheet {
	sheet, _ := Find(DefaultName)
	return sheet
}

// Names are the names of all sources, sorted.
func Names() []string { return namesOf(func(datasheet.Sheet) bool { return true }) }

// OutlierSources are those that can be asked to filter outliers.
func OutlierSources() []string {
	return namesOf(func(s datasheet.Sheet) bool { return s.FiltersOutliers })
}

func namesOf(wanted func(datasheet.Sheet) bool) (names []string) {
	for _, s := range Sheets() {
		if wanted(s) {
			names = append(names, s.Name)
		}
	}
	slices.SortFunc(names, strings.Compare)
	return names
}

// SettleDelay is the longest of these sources; names that nobody knows have none. Plans of a run with fallbacks go by it.
func SettleDelay(names []string) (longest time.Duration) {
	for _, name := range names {
		sheet, _ := Find(name)
		longest = max(longest, sheet.SettleDelay)
	}
	return longest
}

// Supports reports whether the source has candles of the chain at the interval.
func Supports(name string, chain candle.Chain, interval candle.Interval) bool {
	sheet, _ := Find(name)
	return sheet.Supports(chain, interval)
}

// Venue is where tokens that name no chain are taken to be: the market of the exchange when all these sources have that alone,
// else the usual chain.
func Venue(names []string) candle.Chain {
	venue := datasheet.DefaultVenue
	for i, name := range names {
		sheet, _ := Find(name)
		if home := sheet.HomeVenue(); i == 0 {
			venue = home
		} else if home != venue {
			return datasheet.DefaultVenue
		}
	}
	return venue
}

// CallsPerSecond is how many pages of candles all workers together may ask a source for.
func CallsPerSecond(name string, cfg config.Config) float64 {
	sheet, ok := Find(name)
	if !ok {
		return 1
	}
	return sheet.CallsPerSecond(cfg.Sources[name])
}
