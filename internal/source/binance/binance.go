// Package binance fetches candles from Binance spot: from its API, and whole months and days from the files that it
// publishes, where that takes fewer requests. Facts about the service stand in docs/sources.md.
package binance

import (
	"context"
	"encoding/json"
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
	"quantbot/internal/source/breaker"
	"quantbot/internal/source/service"
)

// Name is the source's name in flags and rows.
const Name = "binance"

const (
	// pageSize is the most candles of one answer; fewer prove that the window is complete.
	pageSize = 1_000
	// pageWeight and pingWeight are what a request costs of the limit of 6,000 a minute and address.
	pageWeight = 2
	pingWeight = 1
	// settleDelay allows for clocks that differ and for a reading replica that lags: the exchange itself, whose trades
	// arrive in order at one engine, never changes a closed candle.
	settleDelay = 5 * time.Second
)

// Config configures a Source.
type Config struct {
	// BaseURL is the API's, DumpURL that of the published files; empty = without them. Neither has a trailing slash.
	BaseURL string
	DumpURL string
	// Account has no key. Its budget is in request weight.
	Account   service.Account
	UserAgent string
	// Concurrency is how many requests are under way at once.
	Concurrency int
	Logger      *slog.Logger
	Now         func() time.Time
}

// Source is Binance spot. It implements backfill.Source.
type Source struct {
	klines string
	ping   string
	client *service.Client
	dumps  *dumps // nil = not used
	budget service.Budget
	now    func() time.Time
}

var (
	_ breaker.Source        = (*Source)(nil)
	_ backfill.Configurable = (*Source)(nil)
)

// New returns a source; nothing is sent before the first request.
func New(cfg Config) (*Source, error) {
	base, err := url.Parse(cfg.BaseURL)
	if err != nil || base.Host == "" {
		return nil, errors.New(baseURL + " is no URL")
	}
	s := &Source{
		klines: base.JoinPath("/api/v3/klines").String(),
		ping:   base.JoinPath("/api/v3/ping").String(),
		budget: cfg.Account.Budget,
		now:    cfg.Now,
	}
	s.client = service.NewClient(service.Config{
		Name: Name, Accounts: []service.Account{cfg.Account}, Failure: s.readFailure, UserAgent: cfg.UserAgent,
		Concurrency: cfg.Concurrency, Logger: cfg.Logger, Now: cfg.Now,
	})
	if cfg.DumpURL != "" {
		if s.dumps, err = newDumps(cfg); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// Name implements backfill.Source.
func (s *Source) Name() string { return Name }

// SettleDelay implements backfill.Source.
func (s *Source) SettleDelay() time.Duration { return settleDelay }

// intervals are the service's that quantbot has; both use the same names.
var intervals = []candle.Interval{
	candle.Interval1s, candle.Interval1m, candle.Interval5m, candle.Interval15m, candle.Interval1h, candle.Interval4h, candle.Interval1d,
}

// Supports implements backfill.Source.
func (s *Source) Supports(chain candle.Chain, interval candle.Interval) error {
	if chain != candle.BinanceSpot {
		return fmt.Errorf("binance has no candles of %s, only of the symbols of %s", chain, candle.BinanceSpot)
	}
	if !slices.Contains(intervals, interval) {
		return fmt.Errorf("binance has no candles of %s (it has 1s, 1m, 5m, 15m, 1h, 4h, 1d)", interval)
	}
	return nil
}

// For implements backfill.Configurable.
func (s *Source) For(m *manifest.Manifest) backfill.Source {
	if s.dumps == nil || m == nil || !m.NoPublishedFiles {
		return s
	}
	without := *s
	without.dumps = nil
	return &without
}

// Candles implements backfill.Source. Days and months that a published file covers come from there; what is between them,
// and what a file does not give, is asked of the API.
func (s *Source) Candles(ctx context.Context, token candle.Token, interval candle.Interval, r candle.Range) iter.Seq2[backfill.Page, error] {
	return func(yield func(backfill.Page, error) bool) {
		rest := r
		for _, file := range s.dumps.within(r, interval, s.now()) {
			got, calls, err := s.dumps.load(ctx, token.Address, interval, file)
			if err != nil {
				page := backfill.Page{APICalls: calls} // they count, though they brought nothing
				if errors.Is(err, errNoDump) {
					err = nil
				}
				if !yield(page, err) || err != nil {
					return
				}
				continue
			}
			before := candle.Range{From: rest.From, To: file.period.From}
			if !s.askAPI(ctx, token, interval, before, yield) || !s.yieldFile(ctx, token, interval, got, calls, yield) {
				return
			}
			rest.From = file.period.To
		}
		s.askAPI(ctx, token, interval, rest, yield)
	}
}

// askAPI yields the pages of the API. It reports whether to go on.
func (s *Source) askAPI(ctx context.Context, token candle.Token, interval candle.Interval, r candle.Range, yield func(backfill.Page, error) bool) bool {
	pages := service.Ascending(r, interval, pageSize, func(window candle.Range) (backfill.Page, error) {
		return s.page(ctx, token, interval, window)
	})
	for page, err := range pages {
		if !yield(page, err) || err != nil {
			return false
		}
	}
	return true
}

// page asks once.
func (s *Source) page(ctx context.Context, token candle.Token, interval candle.Interval, r candle.Range) (page backfill.Page, err error) {
	query := url.Values{
		"symbol": {token.Address}, "interval": {interval.String()}, "limit": {strconv.Itoa(pageSize)},
		"timeZone":  {"0"}, // days begin at midnight UTC
		"startTime": {strconv.FormatInt(r.From*1000, 10)},
		"endTime":   {strconv.FormatInt(r.To*1000-1, 10)}, // the service includes the candle that opens at endTime
	}
	about := question{interval: interval, window: r, dollars: hasDollarQuote(token.Address)}
	answer, calls, err := s.client.Get(ctx, service.Request{
		Address: s.klines + "?" + query.Encode(), Weight: pageWeight, MaxBody: service.MaxBody(min(r.Candles(interval), pageSize), maxRow),
	})
	page.APICalls, page.Credits = calls, calls*pageWeight
	if err != nil {
		return page, err
	}
	s.watchWeight(ctx, answer.Header)
	page.At = answer.At()
	if page.Candles, page.Odd, err = decodePage(answer.Body, about); err != nil {
		return page, backfill.WithClass(backfill.ClassUnavailable, err)
	}
	slices.SortStableFunc(page.Candles, byOpenTime)
	return page, nil
}

// Cut implements backfill.Source: where files pay, a chunk is what one of them holds.
func (s *Source) Cut(interval candle.Interval) backfill.Cut {
	const day, month = 86_400, 31 * 86_400
	switch pays := func(seconds int64) bool { return dump{period: candle.Range{To: seconds}}.pays(interval) }; {
	case s.dumps == nil:
	case pays(month):
		return backfill.Cut{Candles: month / interval.Seconds(), At: backfill.EveryMonth}
	case pays(day):
		return backfill.Cut{Candles: day / interval.Seconds(), At: backfill.EveryDay}
	}
	return backfill.Pages(pageSize)
}

// Cost implements backfill.Source. It counts on no file: there may be none for the symbol.
func (s *Source) Cost(interval candle.Interval, r candle.Range) backfill.Cost {
	calls := (r.Candles(interval) + pageSize - 1) / pageSize
	return backfill.Cost{Calls: calls, Credits: calls * pageWeight}
}

// Probe asks the API whether it is there, which costs a weight of 1.
func (s *Source) Probe(ctx context.Context) error {
	answer, _, err := s.client.Get(ctx, service.Request{Address: s.ping, Weight: pingWeight})
	if err != nil {
		return err
	}
	var nothing struct{}
	if err := json.Unmarshal(answer.Body, &nothing); err != nil {
		return backfill.WithClass(backfill.ClassUnavailable, errors.New("the answer to a ping is no JSON object"))
	}
	return nil
}

// watchWeight pauses the account until the next minute when other users of the same address have used up what this
// account's budget does not know of. The answer's own clock says when the minute turns: ours may be ahead or behind.
func (s *Source) watchWeight(ctx context.Context, header http.Header) {
	const limit = 6_000
	used, err := strconv.Atoi(header.Get("X-Mbx-Used-Weight-1m"))
	if err != nil || used <= limit*9/10 {
		return
	}
	at, err := http.ParseTime(header.Get("Date"))
	if err != nil {
		at = s.now()
	}
	s.budget.Slow(ctx, at.Truncate(time.Minute).Add(time.Minute).Sub(at))
}
