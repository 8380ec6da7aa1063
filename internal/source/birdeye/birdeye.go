// Package birdeye fetches candles from Birdeye's /defi/v3/ohlcv. Facts about the service stand in docs/sources.md; what
// is inferred rather than documented is marked there and easy to change here.
package birdeye

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"quantbot/internal/backfill"
	"quantbot/internal/candle"
	"quantbot/internal/manifest"
	"quantbot/internal/source/service"
)

// Name is the source's name in flags and rows.
const Name = "birdeye"

const (
	// pageSize is the most candles of one answer; fewer prove that the window is complete.
	pageSize = 5_000
	// settleDelay is how long after its close a candle is taken to be final (inferred; the vendor names none).
	settleDelay = time.Minute
	// maxItem bounds the mean length of an item in bytes; one has about 200, and up to twice that with scaled amounts.
	maxItem = 1024
)

// Config configures a Source.
type Config struct {
	// BaseURL has no trailing slash.
	BaseURL string
	// Accounts hold the keys, which are sent in the X-API-KEY header and nowhere else.
	Accounts  []service.Account
	UserAgent string
	// Concurrency is how many requests are under way at once.
	Concurrency int
	Logger      *slog.Logger
	Now         func() time.Time
}

// Source is Birdeye. It implements backfill.Source.
type Source struct {
	endpoint string
	client   *service.Client
	now      func() time.Time
	// outliers is how requests say whether candles come as they were traded, or with unlikely prices filtered.
	outliers string
}

var _ backfill.Configurable = (*Source)(nil)

// How the service spells it: outlier=true allows them (api-reference of /defi/v3/ohlcv). It is always sent: what the service
// does without it is its default of the day, and decides values.
const (
	outliersKept     = "true"
	outliersFiltered = "false"
)

// New returns a source; nothing is sent before the first request.
func New(cfg Config) (*Source, error) {
	base, err := url.Parse(cfg.BaseURL)
	if err != nil || base.Host == "" {
		return nil, errors.New(baseURL + " is no URL")
	}
	return &Source{
		endpoint: base.JoinPath("/defi/v3/ohlcv").String(),
		client: service.NewClient(service.Config{
			Name: Name, Accounts: cfg.Accounts, Authorize: func(h http.Header, key string) { h.Set("X-Api-Key", key) },
			Failure: readFailure, UserAgent: cfg.UserAgent, Concurrency: cfg.Concurrency, Logger: cfg.Logger, Now: cfg.Now,
		}),
		now: cfg.Now, outliers: outliersKept,
	}, nil
}

// For implements backfill.Configurable.
func (s *Source) For(m *manifest.Manifest) backfill.Source {
	asked := *s
	if m.Outliers == manifest.OutliersFilter {
		asked.outliers = outliersFiltered
	}
	return &asked
}

// Name implements backfill.Source.
func (s *Source) Name() string { return Name }

// SettleDelay implements backfill.Source.
func (s *Source) SettleDelay() time.Duration { return settleDelay }

// supportedChains are those of the v3 endpoint; the older one knows more.
var supportedChains = []candle.Chain{candle.Solana, candle.Ethereum, candle.BSC, candle.Base, candle.Monad}

// intervalNames are the service's; case matters: 1M would be a month.
var intervalNames = map[candle.Interval]string{
	candle.Interval1s: "1s", candle.Interval15s: "15s", candle.Interval1m: "1m", candle.Interval5m: "5m",
	candle.Interval15m: "15m", candle.Interval1h: "1H", candle.Interval4h: "4H", candle.Interval1d: "1D",
}

// Supports implements backfill.Source.
func (s *Source) Supports(chain candle.Chain, interval candle.Interval) error {
	if !slices.Contains(supportedChains, chain) {
		return fmt.Errorf("birdeye has no candles of %s (it has solana, ethereum, bsc, base, monad)", chain)
	}
	if _, ok := intervalNames[interval]; !ok {
		return fmt.Errorf("birdeye has no candles of %s", interval)
	}
	return nil
}

// Candles implements backfill.Source. The service leaves empty intervals out, so a page that is not full proves that
// nothing more is there.
func (s *Source) Candles(ctx context.Context, token candle.Token, interval candle.Interval, r candle.Range) iter.Seq2[backfill.Page, error] {
	return service.Ascending(r, interval, pageSize, func(window candle.Range) (backfill.Page, error) {
		return s.page(ctx, token, interval, window)
	})
}

// page asks once.
func (s *Source) page(ctx context.Context, token candle.Token, interval candle.Interval, r candle.Range) (page backfill.Page, err error) {
	address, header := s.question(token, interval, r)
	asked := min(r.Candles(interval), pageSize)
	answer, calls, err := s.client.Get(ctx, service.Request{Address: address, Header: header, Weight: 1, MaxBody: service.MaxBody(asked, maxItem)})
	page.APICalls, page.Credits = calls, min(calls, 1)*credits(r.Candles(interval))
	if err != nil {
		return page, err
	}
	page.At = answer.At()
	if page.Candles, page.Odd, err = decodePage(answer.Body, question{token, interval, r}); err != nil {
		return page, backfill.WithClass(backfill.ClassUnavailable, err)
	}
	slices.SortStableFunc(page.Candles, func(a, b candle.Candle) int { return int(a.OpenTime - b.OpenTime) })
	return page, nil
}

// wrappedSOL has traded in every minute for years.
var wrappedSOL = candle.Token{Chain: candle.Solana, Address: "So11111111111111111111111111111111111111112"}

// Probe asks for five minutes of wrapped SOL, which costs 60 compute units. An answer without candles is an answer.
func (s *Source) Probe(ctx context.Context) error {
	to := candle.Interval1m.Truncate(s.now().Add(-time.Hour).Unix())
	_, err := s.page(ctx, wrappedSOL, candle.Interval1m, candle.Range{From: to - 300, To: to})
	return err
}

func (s *Source) question(token candle.Token, interval candle.Interval, r candle.Range) (address string, header http.Header) {
	query := url.Values{
		"address": {token.Address}, "type": {intervalNames[interval]}, "currency": {"usd"}, "ui_amount_mode": {"raw"},
		"mode": {"range"}, "padding": {"false"}, // a gap must stay a gap
		"outlier":   {s.outliers},
		"time_from": {strconv.FormatInt(r.From, 10)},
		"time_to":   {strconv.FormatInt(r.To-1, 10)}, // the service includes the candle that opens at time_to
	}
	return s.endpoint + "?" + query.Encode(), http.Header{"X-Chain": {string(token.Chain)}, "Accept": {"application/json"}}
}

// Cut implements backfill.Source.
func (s *Source) Cut(candle.Interval) backfill.Cut { return backfill.Pages(pageSize) }

// Cost implements backfill.Source: full pages, and a last one that is cheaper.
func (s *Source) Cost(interval candle.Interval, r candle.Range) (cost backfill.Cost) {
	for left := r.Candles(interval); left > 0; left -= pageSize {
		cost.Calls++
		cost.Credits += credits(left)
	}
	return cost
}

// credits is what a call costs in compute units, by the candles asked for (reference/compute-unit-cost of the vendor's
// documentation: below 1,000 → 60, to 2,000 → 90, to 5,000 → 120).
func credits(candles int64) int64 {
	switch {
	case candles < 1_000:
		return 60
	case candles <= 2_000:
		return 90
	default:
		return 120
	}
}
