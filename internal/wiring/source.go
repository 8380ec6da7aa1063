package wiring

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"quantbot/internal/backfill"
	"quantbot/internal/candle"
	"quantbot/internal/config"
	"quantbot/internal/manifest"
	"quantbot/internal/metrics"
	"quantbot/internal/source/binance"
	"quantbot/internal/source/birdeye"
	"quantbot/internal/source/breaker"
	"quantbot/internal/source/budget"
	"quantbot/internal/source/geckoterminal"
	"quantbot/internal/source/service"
)

// SourceNames are the sources that Sources knows.
func SourceNames() []string { return slices.Sorted(maps.Keys(openers)) }

var openers = map[string]func(*Sources) (breaker.Source, error){
	birdeye.Name:       (*Sources).openBirdeye,
	binance.Name:       (*Sources).openBinance,
	geckoterminal.Name: (*Sources).openGeckoTerminal,
}

// Sources opens sources by their names, each once. It is safe for concurrent use.
type Sources struct {
	Config  config.Config
	Version string
	// Redis is where budgets are shared; without it each source keeps to its allowance in this process alone.
	Redis redis.UniversalClient
	// Member names this process among those that share a budget.
	Member string
	// Concurrency is how many requests may be under way at once.
	Concurrency int
	// Metrics, when set, count requests and waits.
	Metrics *metrics.Metrics
	Logger  *slog.Logger
	Now     func() time.Time

	mu   sync.Mutex
	open map[string]*breaker.Breaker

	// asked follows the requests to each source. It has a lock of its own: opening a source may take seconds.
	askedMu sync.Mutex
	asked   map[string]*sourceQuestions
}

// sourceQuestions is what is known of a source's answers.
type sourceQuestions struct {
	backfill.Questions
	breaker *breaker.Breaker // nil until it is open
}

// questions are those to a source.
func (s *Sources) questions(name string) *sourceQuestions {
	s.askedMu.Lock()
	defer s.askedMu.Unlock()
	if s.asked == nil {
		s.asked = make(map[string]*sourceQuestions)
	}
	if s.asked[name] == nil {
		s.asked[name] = &sourceQuestions{}
	}
	return s.asked[name]
}

// Waiting tells since when a source answers nobody, or this process waits for its answer; ok is false while all is well.
func (s *Sources) Waiting(name string) (wait backfill.Wait, ok bool) {
	q := s.questions(name)
	s.askedMu.Lock()
	source := q.breaker
	s.askedMu.Unlock()
	if source != nil {
		if since, cause, down := source.Down(); down {
			return backfill.Wait{On: name, Reason: backfill.WaitSourceDown, Detail: backfill.WaitDetail(cause), Since: q.SilentSince(since)}, true
		}
	}
	return q.Silent(name, s.Now())
}

// Source returns a source as the run with this manifest asks it, and opens it where it is not open yet; nothing is sent
// before the first request. An unknown name is a permanent error.
func (s *Sources) Source(name string, m *manifest.Manifest) (backfill.Source, error) {
	source, err := s.opened(name)
	if err != nil {
		return nil, backfill.WithClass(backfill.ClassPermanent, err)
	}
	return source.For(m), nil
}

// Probe asks a source the cheapest question that it always answers when it works.
func (s *Sources) Probe(ctx context.Context, name string) error {
	opener, ok := openers[name]
	if !ok {
		return unknownSource(name)
	}
	source, err := opener(s)
	if err != nil {
		return err
	}
	return source.Probe(ctx)
}

func unknownSource(name string) error {
	return fmt.Errorf("unknown source %q (known: %s)", name, strings.Join(SourceNames(), ", "))
}

func (s *Sources) opened(name string) (*breaker.Breaker, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if source, ok := s.open[name]; ok {
		return source, nil
	}
	opener, ok := openers[name]
	if !ok {
		return nil, unknownSource(name)
	}
	source, err := opener(s)
	if err != nil {
		return nil, err
	}
	if s.open == nil {
		s.open = make(map[string]*breaker.Breaker)
	}
	s.open[name] = breaker.New(source, breaker.Config{Logger: s.Logger, Now: s.Now})
	q := s.questions(name)
	s.askedMu.Lock()
	defer s.askedMu.Unlock()
	q.breaker = s.open[name]
	return q.breaker, nil
}

// unasked are sources whose rules are looked at and that nobody asks anything, so no clock is needed.
func unasked(cfg config.Config) *Sources {
	return &Sources{Config: cfg, Concurrency: 1, Logger: slog.New(slog.DiscardHandler), Now: func() time.Time { return time.Time{} }}
}

// SettleDelay is the longest of these sources; names that nobody knows have none. Plans of a run with fallbacks go by it.
func SettleDelay(cfg config.Config, names []string) (longest time.Duration) {
	sources := unasked(cfg)
	for _, name := range names {
		if source, err := sources.opened(name); err == nil {
			longest = max(longest, source.SettleDelay())
		}
	}
	return longest
}

// Supports reports whether the source has candles of the chain at the interval.
func Supports(cfg config.Config, name string, chain candle.Chain, interval candle.Interval) bool {
	sources := unasked(cfg)
	source, err := sources.opened(name)
	return err == nil && source.Supports(chain, interval) == nil
}

// Venue is where tokens that name no chain are taken to be: the market of the exchange when all these sources have that alone,
// else Solana.
func Venue(sources []string) candle.Chain {
	if len(sources) == 0 || slices.ContainsFunc(sources, func(name string) bool { return name != binance.Name }) {
		return candle.Solana
	}
	return candle.BinanceSpot
}

// OutlierSources are those that can be asked to filter outliers.
func OutlierSources() []string { return []string{birdeye.Name} }

// CallsPerSecond is how many calls all workers together may send to a source.
func CallsPerSecond(name string, cfg config.Config) float64 {
	switch name {
	case birdeye.Name:
		return cfg.Birdeye.RPS * float64(max(len(cfg.Birdeye.Keys), 1))
	case binance.Name:
		return binanceWeight / 2 // a page of candles weighs 2
	case geckoterminal.Name:
		return cfg.GeckoTerminal.PerMinute / 60
	}
	return 1
}

func (s *Sources) openBirdeye() (breaker.Source, error) {
	keys := s.Config.Birdeye.Keys
	if len(keys) == 0 {
		keys = []config.Secret{""} // the source's answer says best what is missing
	}
	accounts := make([]service.Account, len(keys))
	for i, key := range keys {
		accounts[i] = s.account(birdeye.Name, key.Reveal(), s.Config.Birdeye.RPS)
	}
	return birdeye.New(birdeye.Config{
		BaseURL: s.Config.Birdeye.BaseURL, Accounts: accounts, UserAgent: s.userAgent(), Concurrency: s.Concurrency, Logger: s.Logger, Now: s.Now,
	})
}

// binanceWeight is the request weight a second that all workers together use: 90 % of the 6,000 a minute that the service
// allows an address.
const binanceWeight = 90

func (s *Sources) openBinance() (breaker.Source, error) {
	return binance.New(binance.Config{
		BaseURL: s.Config.Binance.BaseURL, DumpURL: s.Config.Binance.DumpURL, Account: s.account(binance.Name, "", binanceWeight),
		UserAgent: s.userAgent(), Concurrency: s.Concurrency, Logger: s.Logger, Now: s.Now,
	})
}

func (s *Sources) openGeckoTerminal() (breaker.Source, error) {
	return geckoterminal.New(geckoterminal.Config{
		BaseURL: s.Config.GeckoTerminal.BaseURL, Account: s.account(geckoterminal.Name, "", s.Config.GeckoTerminal.PerMinute/60),
		UserAgent: s.userAgent(), Concurrency: s.Concurrency, Logger: s.Logger, Now: s.Now,
	})
}

// secretsOf are what no text of others may carry on.
func secretsOf(cfg config.Config) manifest.Secrets { return revealed(cfg.Secrets) }

// WithoutSecrets writes without the secrets of the environment. Services and stores may repeat them, which is taken out where
// their words enter; here it is what anything else repeats, such as DuckDB.
func WithoutSecrets(getenv func(string) string, w io.Writer) io.Writer {
	return revealed(config.Secrets(getenv)).Writer(w)
}

func revealed(secrets []config.Secret) manifest.Secrets {
	values := make([]string, len(secrets))
	for i, secret := range secrets {
		values[i] = secret.Reveal()
	}
	return manifest.NewSecrets(values...)
}

func (s *Sources) userAgent() string { return "quantbot/" + s.Version }

// registerTimeout bounds telling Redis about an account.
const registerTimeout = 5 * time.Second

// account shares its budget through Redis where there is one.
func (s *Sources) account(source, key string, perSecond float64) service.Account {
	if s.Redis == nil {
		return s.counted(source, service.Account{Key: key, Budget: service.NewLocal(perSecond, s.Now)})
	}
	account := budget.NewAccount(source, key)
	ctx, cancel := context.WithTimeout(context.Background(), registerTimeout)
	defer cancel()
	if err := budget.Register(ctx, s.Redis, account, s.Now()); err != nil {
		s.Logger.WarnContext(ctx, "budget not registered, sources will not list it", "source", source, "err", err)
	}
	return s.counted(source, service.Account{Key: key, Budget: budget.New(budget.Config{
		Redis: s.Redis, Account: account, PerSecond: perSecond, Member: s.Member, Logger: s.Logger, Now: s.Now,
	})})
}
