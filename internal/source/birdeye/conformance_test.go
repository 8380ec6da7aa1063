package birdeye

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"quantbot/internal/candle"
	"quantbot/internal/simmarket"
	"quantbot/internal/source/breaker"
	"quantbot/internal/source/sourcetest"
)

func TestConformance(t *testing.T) {
	t.Parallel()
	sourcetest.Run(t, sourcetest.Suite{
		Sheet: Sheet(),
		Token: token, Interval: candle.Interval1m,
		Open: func(t *testing.T, baseURL string) breaker.Source { return openURL(t, baseURL, time.Now) },
		Serve: func(_ *testing.T, candles []candle.Candle, disorder sourcetest.Disorder) http.Handler {
			options := simmarket.Options{Market: simmarket.Recording{{Address: token.Address, Interval: candle.Interval1m}: candles}.Market(), KeyRequired: true, Now: time.Now}
			if disorder != sourcetest.None {
				options.Faults = []simmarket.Fault{{Kind: string(disorder)}}
			}
			return simmarket.NewServer(options)
		},
		FewestCalls: sourcetest.Ascending(pageSize, candle.Interval1m),
		Price:       price,
		BadToken:    sourcetest.Answer{Status: http.StatusNotFound, Body: `{"success":false,"message":"Not found"}`},
		Foreign: map[string]func([]byte) []byte{
			"another time":     func(body []byte) []byte { return shift(body, 30*86_400) },
			"an earlier time":  func(body []byte) []byte { return shift(body, -30*86_400) },
			"another token":    insert(`"address":"EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGGkZwyTDt1v",`),
			"another interval": func(body []byte) []byte { return bytes.ReplaceAll(body, []byte(`"type":"1m"`), []byte(`"type":"5m"`)) },
			"another currency": func(body []byte) []byte { return bytes.ReplaceAll(body, []byte(`"usd"`), []byte(`"native"`)) },
			"a repeated name":  func(body []byte) []byte { return append(bytes.TrimSuffix(body, []byte("}}")), `,"items":[]}}`...) },
			"a repeated price": insert(`"o":1,`),
		},
		Odd: func(body []byte, item int) []byte {
			items := bytes.Split(body, []byte(`"o":`))
			_, after, _ := bytes.Cut(items[item+1], []byte(","))
			items[item+1] = append([]byte("null,"), after...)
			return bytes.Join(items, []byte(`"o":`))
		},
		Chains:  supportedChains,
		Secrets: []string{testKey},
	})
}

// insert puts a field into the first item.
func insert(field string) func([]byte) []byte {
	return func(body []byte) []byte { return bytes.Replace(body, []byte(`"o":`), []byte(field+`"o":`), 1) }
}

var timeField = regexp.MustCompile(`"unix_time":\d+`)

// shift moves all candles.
func shift(body []byte, seconds int64) []byte {
	return timeField.ReplaceAllFunc(body, func(field []byte) []byte {
		open, _ := strconv.ParseInt(string(field[len(`"unix_time":`):]), 10, 64)
		return strconv.AppendInt([]byte(`"unix_time":`), open+seconds, 10)
	})
}

// price is what the service charges for a request, by the candles asked for.
func price(r *http.Request) int64 {
	from, _ := strconv.ParseInt(r.URL.Query().Get("time_from"), 10, 64)
	to, _ := strconv.ParseInt(r.URL.Query().Get("time_to"), 10, 64)
	return credits(candle.Range{From: from, To: to + 1}.Candles(candle.Interval1m))
}

func openURL(t *testing.T, baseURL string, now func() time.Time) *Source {
	t.Helper()
	cfg := testConfig(baseURL)
	cfg.Now = now
	source, err := New(cfg)
	require.NoError(t, err)
	t.Cleanup(source.client.CloseIdleConnections)
	return source
}

func openAt(t *testing.T, now func() time.Time, handler http.Handler) *Source {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return openURL(t, server.URL, now)
}
