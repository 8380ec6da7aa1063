package geckoterminal

import (
	"log/slog"
	"testing"
	"time"

	"go.uber.org/goleak"

	"quantbot/internal/candle"
	"quantbot/internal/source/service"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var token = candle.Token{Chain: candle.Solana, Address: "5LKHMd2rMSRaG9y4iHwSLRtrJ3dCrJ2CytvBeak8pump"}

// today is a day on which the suite's candles are not past retention.
var today = time.Date(2024, 4, 1, 0, 0, 0, 0, time.UTC)

func config(baseURL string) Config {
	return Config{
		BaseURL: baseURL, Account: service.Account{Budget: service.NewLocal(10_000, time.Now)}, UserAgent: "quantbot/test",
		Concurrency: 2, Logger: slog.New(slog.DiscardHandler), Now: func() time.Time { return today },
	}
}
