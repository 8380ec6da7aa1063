package geckoterminal

import (
	"encoding/json"
	"errors"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"quantbot/internal/candle"
)

// recorded returns a body that the service once sent. The recordings are not part of the project.
func recorded(t testing.TB, file string) []byte {
	t.Helper()
	folder := filepath.Join("..", "..", "..", "..", "shared", "data")
	if _, err := os.Stat(folder); errors.Is(err, fs.ErrNotExist) {
		t.Skip("the recorded market data is not on this machine")
	}
	body, err := os.ReadFile(filepath.Join(folder, file))
	require.NoError(t, err)
	return body
}

const (
	wrappedEther = "0xc02aaa39b223fe8d0a0e5c4f27ead9083c756cc2"
	usdc         = "0xa0b86991c6218b36c1d19d4a2e9eb0ce3606eb48"
	tether       = "0xdac17f958d2ee523a2206206994597c13d831ec7"
)

func TestRecordedPools(t *testing.T) {
	t.Parallel()
	body := recorded(t, "geckoterminal_get_top_pools_by_network_token.json")
	first := time.Date(2021, 12, 29, 12, 35, 14, 0, time.UTC).Unix()
	for name, test := range map[string]struct {
		address string
		pool    string
		side    string
	}{
		"the base of the first":    {wrappedEther, "0x88e6a0c2ddd26feeb64f039a2c41296fcb3f5640", "base"},
		"in other letters":         {"0xC02aaA39b223FE8D0A0e5C4F27eAD9083C756Cc2", "0x88e6a0c2ddd26feeb64f039a2c41296fcb3f5640", "base"},
		"the quote of the first":   {usdc, "0x88e6a0c2ddd26feeb64f039a2c41296fcb3f5640", "quote"},
		"the quote of the second":  {tether, "0x11b815efb8f581194ae79006d24e0d814b7697f6", "quote"},
		"in none, as in triplets":  {"0x0000000000000000000000000000000000000001", "", ""},
		"the address of another's": {"0x88e6a0c2ddd26feeb64f039a2c41296fcb3f5640", "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			found, err := decodePool(body, candle.Token{Chain: candle.Ethereum, Address: test.address})
			if test.pool == "" {
				require.ErrorIs(t, err, errNoPool)
				return
			}
			require.NoError(t, err)
			require.Equal(t, test.pool, found.address)
			require.Equal(t, test.side, found.side)
			if test.pool == "0x88e6a0c2ddd26feeb64f039a2c41296fcb3f5640" {
				require.Equal(t, first, found.created)
			}
		})
	}
}

// The service's own bodies, asked for in its own way.
func TestRecordedCandles(t *testing.T) {
	t.Parallel()
	pools, body := recorded(t, "geckoterminal_get_top_pools_by_network_token.json"), recorded(t, "geckoterminal_get_ohlcv.json")
	var asked []string
	source := open(t, today, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Accept") != accept || r.Header.Get("User-Agent") != "quantbot/test" {
			t.Error("another version of the API, or nobody asks", r.Header)
		}
		asked = append(asked, r.URL.Path+"?"+r.URL.RawQuery)
		switch {
		case strings.HasSuffix(r.URL.Path, "/tokens/"+usdc+"/pools"):
			_, _ = w.Write(pools)
		case r.URL.Query().Get("before_timestamp") == "1689280800":
			_, _ = w.Write(body)
		default:
			_, _ = w.Write([]byte(`{"data":{"attributes":{"ohlcv_list":[]}}}`))
		}
	}))
	r := candle.Range{From: 1689190200 - 900, To: 1689280800} // a candle more than was recorded
	source.now = func() time.Time { return time.Unix(r.To, 0) }
	f := fetch(t.Context(), source, candle.Token{Chain: candle.Ethereum, Address: usdc}, candle.Interval15m, r)
	require.NoError(t, f.err)
	const candles = "/api/v2/networks/eth/pools/0x88e6a0c2ddd26feeb64f039a2c41296fcb3f5640/ohlcv/minute?aggregate=15&before_timestamp="
	require.Equal(t, []string{
		"/api/v2/networks/eth/tokens/" + usdc + "/pools?page=1&sort=h24_volume_usd_liquidity_desc",
		candles + "1689280800&currency=usd&include_empty_intervals=false&limit=1000&token=quote",
		candles + "1689190200&currency=usd&include_empty_intervals=false&limit=1000&token=quote",
	}, asked)
	require.EqualValues(t, 3, f.calls)
	require.Zero(t, f.credits)
	require.Equal(t, rowsOf(t, body), f.candles)
	require.Len(t, f.candles, 100)
	require.Equal(t, candle.Candle{
		OpenTime: 1689280200, Open: 1.00176903067631, High: 1.00346106470275, Low: 1.00090364948961, Close: 1.00090364948961,
		Volume: 55810.14196810057 / 1.00090364948961, VolumeUSD: 55810.14196810057,
	}, f.candles[99])
}

// rowsOf reads the recording another way than the source does, oldest first.
func rowsOf(t *testing.T, body []byte) []candle.Candle {
	t.Helper()
	var recording map[string]map[string]any
	require.NoError(t, json.Unmarshal(body, &recording))
	var candles []candle.Candle
	for _, row := range recording["data"]["attributes"].(map[string]any)["ohlcv_list"].([]any) {
		v := func(i int) float64 { return row.([]any)[i].(float64) }
		candles = append(candles, candle.Candle{
			OpenTime: int64(v(0)), Open: v(1), High: v(2), Low: v(3), Close: v(4), Volume: v(5) / v(4), VolumeUSD: v(5),
		})
	}
	slices.Reverse(candles)
	if candles[0].OpenTime == candles[1].OpenTime { // this one comes twice; twins keep the service's order
		candles[0], candles[1] = candles[1], candles[0]
	}
	return candles
}

func TestRecordedNetworks(t *testing.T) {
	t.Parallel()
	body := recorded(t, "geckoterminal_get_networks.json")
	require.NoError(t, checkNetworks(body))
	var list struct {
		Data []struct {
			ID string `json:"id"`
		} `json:"data"`
	}
	require.NoError(t, json.Unmarshal(body, &list))
	var ids []string
	for _, network := range list.Data {
		ids = append(ids, network.ID)
	}
	for chain, network := range networks {
		if chain != candle.Base { // younger than the recording
			require.Contains(t, ids, network)
		}
	}
	require.NotContains(t, ids, "monad", "then it could be served")
}

// The candles that were recorded from the service, paged from the simulated one by every path.
func TestRecordedMarketArrivesExactly(t *testing.T) {
	t.Parallel()
	market := recordedMarket(t)
	all := candle.Range{From: 1_700_000_000, To: 1_800_000_000}
	want := market.Candles(token, candle.Interval1m, all)
	require.Len(t, want, 8_281)
	for name, inclusive := range map[string]bool{"inclusive": true, "exclusive": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := fetch(t.Context(), open(t, time.Unix(all.To, 0), serve(market, inclusive)), token, candle.Interval1m, all)
			require.NoError(t, f.err)
			slices.SortStableFunc(f.candles, func(a, b candle.Candle) int { return int(a.OpenTime - b.OpenTime) })
			require.Equal(t, want, f.candles)
		})
	}
}
