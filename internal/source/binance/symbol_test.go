package binance

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"quantbot/internal/candle"
	"quantbot/internal/simmarket"
)

// Symbols in other scripts are real, and arrive at the API and at the files as they are.
func TestSymbolsOfAnyScriptAreAskedFor(t *testing.T) {
	t.Parallel()
	token, err := candle.NewToken(candle.BinanceSpot, "币安人生usdt")
	require.NoError(t, err)
	asked := candle.Range{From: unix("2025-02-01"), To: unix("2025-03-02")}
	candles := traded(candle.Interval5m, asked)
	h := &host{market: simmarket.NewServer(simmarket.Options{Market: simmarket.Recording{{Address: token.Address, Interval: candle.Interval5m}: candles}.Market(), Now: time.Now})}
	cfg := testConfig(serve(t, h))
	cfg.DumpURL = cfg.BaseURL
	f := fetch(t.Context(), open(t, cfg), token, candle.Interval5m, asked)
	require.NoError(t, f.err)
	requireSame(t, candles, f.candles)
	require.Contains(t, h.files, "monthly/klines/币安人生USDT/5m/币安人生USDT-5m-2025-02.zip")
	require.Positive(t, h.api)
}
