package devstack

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"quantbot/internal/config"
	"quantbot/internal/simmarket"
	"quantbot/internal/source/register"
	"quantbot/internal/wiring"
)

// MarketKey is the API key that the simulated market is asked with. Like every key it is left out of all that is said, so it
// must be no word of ours.
const MarketKey = "any-key-will-do"

// Market is a running simulated market, which speaks the API of the default source.
type Market struct{ running *simmarket.Running }

// StartMarket serves a simulated market on a free loopback port. latency is how long it takes to respond.
func StartMarket(ctx context.Context, latency time.Duration, now func() time.Time) (*Market, error) {
	server := simmarket.NewServer(simmarket.Options{Market: simmarket.NewMarket(1), Latency: latency, Now: now})
	running, err := simmarket.Listen(ctx, "127.0.0.1:0", server)
	if err != nil {
		return nil, fmt.Errorf("start the simulated market: %w", err)
	}
	return &Market{running: running}, nil
}

// URL is where the market is asked.
func (m *Market) URL() string { return m.running.URL() }

// Vars are the variables by which programs ask this market, at most so many times a second.
func (m *Market) Vars(perSecond int) map[string]string {
	return register.Default().PointedAt(m.URL(), MarketKey, strconv.Itoa(perSecond))
}

// Stop lets requests under way end, for at most five seconds, also after ctx has ended.
func (m *Market) Stop(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	if err := m.running.Close(ctx); err != nil {
		return fmt.Errorf("stop the simulated market: %w", err)
	}
	return nil
}

// Claim makes the stores those of simulated candles, and returns a *backfill.StrangerError where they have real ones. by is who
// claims them, for the record.
func (m *Market) Claim(ctx context.Context, cfg config.Config, stores *wiring.Stores, by string) error {
	_, err := wiring.Services(cfg, stores.History).Use(ctx, by, register.DefaultName)
	return err
}
