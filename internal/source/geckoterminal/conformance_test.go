package geckoterminal

import (
	"bytes"
	"maps"
	"net/http"
	"regexp"
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
				Sheet: Sheet(),
				Token: token, Interval: candle.Interval1m,
				Open: func(t *testing.T, baseURL string) breaker.Source { return openURL(t, baseURL, today) },
				Serve: func(_ *testing.T, candles []candle.Candle, disorder sourcetest.Disorder) http.Handler {
					market := simmarket.Recording{{Address: token.Address, Interval: candle.Interval1m}: candles}.Market()
					if disorder == sourcetest.None {
						return serve(market, inclusive)
					}
					return serve(market, inclusive, simmarket.Fault{Kind: string(disorder)})
				},
				Seen:        seen,
				FewestCalls: fewestCalls(inclusive),
				BadToken:    sourcetest.Answer{Status: http.StatusNotFound, Body: notFound},
				Foreign: map[string]func([]byte) []byte{
					"another time": func(body []byte) []byte { return shift(body, 30*86_400) },
					"another pool": func(body []byte) []byte {
						return append(bytes.TrimSuffix(body, []byte("}")), `,"meta":{"base":{"address":"X"},"quote":{"address":"Y"}}}`...)
					},
					"a repeated name": func(body []byte) []byte {
						return append(bytes.TrimSuffix(body, []byte("}}}")), `,"ohlcv_list":[]}}}`...)
					},
				},
				Odd: func(body []byte, item int) []byte {
					rows := bytes.SplitAfter(body, []byte("["))
					values := bytes.SplitN(rows[item+2], []byte(","), 3)
					values[1] = []byte("null")
					rows[item+2] = bytes.Join(values, []byte(","))
					return bytes.Join(rows, nil)
				},
				Chains:      slices.Collect(maps.Keys(networks)),
				NoIntervals: []candle.Interval{candle.Interval1s, candle.Interval15s},
			})
		})
	}
}

var rowTime = regexp.MustCompile(`\[\d+`)

// shift moves all candles.
func shift(body []byte, seconds int64) []byte {
	return rowTime.ReplaceAllFunc(body, func(begin []byte) []byte {
		open, _ := strconv.ParseInt(string(begin[1:]), 10, 64)
		return strconv.AppendInt([]byte("["), open+seconds, 10)
	})
}

const notFound = `{"errors":[{"status":"404","title":"Not Found"}]}`

// serve is the simulated service, which is inclusive, or one that is not.
func serve(market *simmarket.Market, inclusive bool, faults ...simmarket.Fault) http.Handler {
	server := simmarket.NewServer(simmarket.Options{Market: market, Faults: faults, Now: time.Now})
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

// recordedMarket is what the service once returned for a token.
func recordedMarket(t *testing.T) *simmarket.Market {
	t.Helper()
	market, err := simmarket.LoadCSV(bytes.NewReader(recorded(t, "candles.csv")))
	require.NoError(t, err)
	return market
}

// seen: the service reports the volume in USD alone.
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
