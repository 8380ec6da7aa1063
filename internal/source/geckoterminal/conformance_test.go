package geckoterminal

import (
	"maps"
	"net/http"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"quantbot/internal/candle"
	"quantbot/internal/simmarket"
	"quantbot/internal/source/breaker"
	"quantbot/internal/source/sourcetest"
)

// Nobody knows which of the two the service does.
func TestConformance(t *testing.T) {
	t.Parallel()
	for name, inclusive := range map[string]bool{"before_timestamp inclusive": true, "before_timestamp exclusive": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			sourcetest.Run(t, sourcetest.Suite{
				Token: token, Interval: candle.Interval1m,
				Open: func(t *testing.T, baseURL string) breaker.Source { return openURL(t, baseURL, 0) },
				Serve: func(_ *testing.T, candles []candle.Candle, disorder sourcetest.Disorder) http.Handler {
					return simulated(candles, inclusive, string(disorder))
				},
				Seen:        seen,
				FewestCalls: fewestCalls(inclusive),
				BadToken:    sourcetest.Answer{Status: http.StatusNotFound, Body: notFound},
				Chains:      slices.Collect(maps.Keys(networks)),
				NoIntervals: []candle.Interval{candle.Interval1s, candle.Interval15s},
			})
		})
	}
}

const notFound = `{"errors":[{"status":"404","title":"Not Found"}]}`

// simulated serves the candles from the simulated market, which is inclusive.
func simulated(candles []candle.Candle, inclusive bool, faults ...string) http.Handler {
	options := simmarket.Options{Market: simmarket.NewRecordedMarket(token, candle.Interval1m, candles), Now: time.Now}
	for _, kind := range faults {
		if kind != "" {
			options.Faults = append(options.Faults, simmarket.Fault{Kind: kind})
		}
	}
	server := simmarket.NewServer(options)
	if inclusive {
		return server
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		query := r.URL.Query()
		if before, err := strconv.ParseInt(query.Get("before_timestamp"), 10, 64); err == nil {
			query.Set("before_timestamp", strconv.FormatInt(before-1, 10))
			r.URL.RawQuery = query.Encode()
		}
		server.ServeHTTP(w, r)
	})
}

// seen: the service tells the volume in USD alone.
func seen(c candle.Candle) candle.Candle {
	c.Volume = c.VolumeUSD / c.Close
	return c
}

// fewestCalls counts one for the pool and then pages of the newest candles, until one is not younger than the begin, or
// none is older than those of the page before.
func fewestCalls(inclusive bool) func([]candle.Candle, candle.Range) int64 {
	return func(market []candle.Candle, r candle.Range) int64 {
		if r.Empty() {
			return 0
		}
		calls := int64(1)
		for before := r.To; before > r.From; {
			calls++
			end := before
			if inclusive {
				end++
			}
			past := slices.DeleteFunc(slices.Clone(market), func(c candle.Candle) bool { return c.OpenTime >= end })
			page := past[max(0, len(past)-pageSize):]
			if len(page) == 0 || page[0].OpenTime >= before {
				return calls
			}
			before = page[0].OpenTime
		}
		return calls
	}
}

// openURL opens the source on a day of 2024.
func openURL(t *testing.T, baseURL string, pools int) *Source {
	t.Helper()
	source, err := New(config(baseURL + "/api/v2"))
	require.NoError(t, err)
	if pools > 0 {
		source.pools = newPoolCache(pools)
	}
	t.Cleanup(source.client.CloseIdleConnections)
	return source
}
