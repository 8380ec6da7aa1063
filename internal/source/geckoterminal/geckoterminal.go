// Package geckoterminal fetches candles from GeckoTerminal's public API, which wants no key. It knows the candles of
// pools, not of tokens: a token's candles are those of its most liquid pool. Facts about the service stand in
// docs/sources.md; what is inferred rather than documented is marked there and easy to change here.
package geckoterminal

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"quantbot/internal/backfill"
	"quantbot/internal/candle"
	"quantbot/internal/source/service"
)

// Name is the source's name in flags and rows.
const Name = "geckoterminal"

const (
	// pageSize is the most candles of one answer.
	pageSize = 1_000
	// settleDelay is how long after its close a candle is taken to be final (inferred): the data is 10 to 20 seconds behind
	// the chain, and an answer from just before it caught up may be repeated from a cache for a minute.
	settleDelay = 2 * time.Minute
	// retention is how far back the service surely has candles. It says "up to 6 months", of which the shortest has 181 days.
	retention = 180 * 24 * time.Hour
	// accept pins the version of the API whose shapes are decoded here.
	accept = "application/json;version=20230302"
	// maxRow bounds the mean length of a candle in bytes, which has about 90; maxList the lists of pools and of networks.
	maxRow  = 512
	maxList = 1 << 20
)

// Config configures a Source.
type Config struct {
	// BaseURL has no trailing slash and ends with the API's version: https://api.geckoterminal.com/api/v2.
	BaseURL string
	// Account holds the budget; the service counts requests by address and wants no key.
	Account   service.Account
	UserAgent string
	// Concurrency is how many requests are under way at once.
	Concurrency int
	Logger      *slog.Logger
	Now         func() time.Time
}

// Source is GeckoTerminal. It implements backfill.Source and is safe for concurrent use.
type Source struct {
	base   *url.URL
	client *service.Client
	pools  *poolCache
	now    func() time.Time
}

var _ backfill.Source = (*Source)(nil)

// New returns a source; nothing is sent before the first request.
func New(cfg Config) (*Source, error) {
	base, err := url.Parse(cfg.BaseURL)
	if err != nil || base.Host == "" {
		return nil, errors.New(baseURL + " is no URL")
	}
	pools, err := newPoolCache(cachedPools)
	if err != nil {
		return nil, err
	}
	return &Source{
		base: base,
		client: service.NewClient(service.Config{
			Name: Name, Accounts: []service.Account{cfg.Account}, Failure: readFailure, UserAgent: cfg.UserAgent,
			Concurrency: cfg.Concurrency, Logger: cfg.Logger, Now: cfg.Now,
		}),
		pools: pools,
		now:   cfg.Now,
	}, nil
}

// Name implements backfill.Source.
func (s *Source) Name() string { return Name }

// SettleDelay implements backfill.Source.
func (s *Source) SettleDelay() time.Duration { return settleDelay }

// Cut implements backfill.Source.
func (s *Source) Cut(candle.Interval) backfill.Cut { return backfill.Pages(pageSize) }

// Cost implements backfill.Source: full pages, one that proves that nothing older is there, and the lookup of the pool.
func (s *Source) Cost(interval candle.Interval, r candle.Range) backfill.Cost {
	pages := (r.Candles(interval) + pageSize - 1) / pageSize
	return backfill.Cost{Calls: pages + 2}
}

// networks are the service's words for the chains.
var networks = map[candle.Chain]string{
	candle.Solana: "solana", candle.Ethereum: "eth", candle.BSC: "bsc", candle.Base: "base", candle.Polygon: "polygon_pos",
	candle.Arbitrum: "arbitrum", candle.Avalanche: "avax", candle.Optimism: "optimism",
}

// timeframe is how the service writes an interval.
type timeframe struct{ name, aggregate string }

var timeframes = map[candle.Interval]timeframe{
	candle.Interval1m: {"minute", "1"}, candle.Interval5m: {"minute", "5"}, candle.Interval15m: {"minute", "15"},
	candle.Interval1h: {"hour", "1"}, candle.Interval4h: {"hour", "4"}, candle.Interval1d: {"day", "1"},
}

// Supports implements backfill.Source.
func (s *Source) Supports(chain candle.Chain, interval candle.Interval) error {
	if _, ok := networks[chain]; !ok {
		return fmt.Errorf("geckoterminal has no candles of %s (it has %v)", chain, slices.Sorted(maps.Keys(networks)))
	}
	if _, ok := timeframes[interval]; !ok {
		return fmt.Errorf("geckoterminal has no candles of %s (it has %v)", interval, slices.Sorted(maps.Keys(timeframes)))
	}
	return nil
}

// Candles implements backfill.Source. Pages come newest first, because the service looks back from a moment. A page's
// calls include the one that found the token's pool, where it took one.
func (s *Source) Candles(ctx context.Context, token candle.Token, interval candle.Interval, r candle.Range) iter.Seq2[backfill.Page, error] {
	return func(yield func(backfill.Page, error) bool) {
		if r.Empty() {
			return
		}
		pool, calls, err := s.pool(ctx, token)
		if err != nil {
			yield(backfill.Page{APICalls: calls}, err)
			return
		}
		w := walk{from: r.From, before: r.To, listed: interval.Truncate(pool.created), kept: s.now().Add(-retention).Unix()}
		for left := pagesFor(r.Candles(interval)); !w.complete(); left-- {
			page, err := s.page(ctx, token, pool, interval, &w)
			if err == nil && left == 0 {
				err = backfill.WithClass(backfill.ClassUnavailable, errEndless)
			}
			page.APICalls += calls
			calls = 0
			if !yield(page, err) || err != nil {
				return
			}
		}
	}
}

// page asks once and goes one step back.
func (s *Source) page(ctx context.Context, token candle.Token, p pool, interval candle.Interval, w *walk) (page backfill.Page, err error) {
	frame := timeframes[interval]
	address := s.base.JoinPath("networks", networks[token.Chain], "pools", p.address, "ohlcv", frame.name)
	address.RawQuery = url.Values{
		"aggregate": {frame.aggregate}, "before_timestamp": {strconv.FormatInt(w.before, 10)},
		"limit": {strconv.Itoa(pageSize)}, "currency": {"usd"}, "token": {p.side},
		"include_empty_intervals": {"false"}, // a gap must stay a gap
	}.Encode()
	answer, calls, err := s.get(ctx, address, service.MaxBody(pageSize, maxRow))
	page.APICalls, page.At = calls, answer.At()
	if err != nil {
		return page, err
	}
	var candles []candle.Candle
	candles, page.Odd, err = decodeCandles(answer.Body, question{token, interval})
	if err != nil {
		return page, backfill.WithClass(backfill.ClassUnavailable, err)
	}
	page.Candles, err = w.step(candles)
	return page, err
}

// Probe asks for the networks, which a working service always has.
func (s *Source) Probe(ctx context.Context) error {
	address := s.base.JoinPath("networks")
	address.RawQuery = "page=1"
	answer, _, err := s.get(ctx, address, maxList)
	if err != nil {
		return err
	}
	return backfill.WithClass(backfill.ClassUnavailable, checkNetworks(answer.Body))
}

func (s *Source) get(ctx context.Context, address *url.URL, most int64) (answer service.Answer, calls int64, err error) {
	return s.client.Get(ctx, service.Request{Address: address.String(), Header: http.Header{"Accept": {accept}}, Weight: 1, MaxBody: most})
}
