package wiring

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"quantbot/internal/backfill"
	"quantbot/internal/config"
	"quantbot/internal/manifest"
	"quantbot/internal/metrics"
	"quantbot/internal/secret"
	"quantbot/internal/source/breaker"
	"quantbot/internal/source/budget"
	"quantbot/internal/source/datasheet"
	"quantbot/internal/source/register"
	"quantbot/internal/source/service"
)

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

	mu sync.Mutex
	// open has a function for each source that opens it at its first call. It is called without the lock: opening a source registers
	// its accounts with Redis, which may take seconds.
	open map[string]func() (*breaker.Breaker, error)

	// asked follows the requests to each source. It has a lock of its own.
	askedMu sync.Mutex
	asked   map[string]*sourceQuestions
}

// sourceQuestions is what is known of a source's responses.
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

// Waiting returns the wait for a source that responds to nobody, or for a response that this process waits for; ok is false while all is well.
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

// Probe sends a source the cheapest request to which it always responds when it works.
func (s *Sources) Probe(ctx context.Context, name string) error {
	source, err := s.openNew(name)
	if err != nil {
		return err
	}
	return source.Probe(ctx)
}

// opened returns the source, which is opened once. Whoever wants a source while another one opens does not wait for it.
func (s *Sources) opened(name string) (*breaker.Breaker, error) {
	s.mu.Lock()
	if s.open == nil {
		s.open = make(map[string]func() (*breaker.Breaker, error))
	}
	open, ok := s.open[name]
	if !ok {
		open = sync.OnceValues(func() (*breaker.Breaker, error) { return s.openWatched(name) })
		s.open[name] = open
	}
	s.mu.Unlock()
	return open()
}

// openWatched opens the source behind a breaker that Waiting knows.
func (s *Sources) openWatched(name string) (*breaker.Breaker, error) {
	source, err := s.openNew(name)
	if err != nil {
		return nil, err
	}
	guarded := breaker.New(source, breaker.Config{Logger: s.Logger, Now: s.Now})
	q := s.questions(name)
	s.askedMu.Lock()
	defer s.askedMu.Unlock()
	q.breaker = guarded
	return guarded, nil
}

// openNew opens a source by its data sheet.
func (s *Sources) openNew(name string) (breaker.Source, error) {
	sheet, ok := register.Find(name)
	if !ok {
		return nil, fmt.Errorf("unknown source %q (known: %s)", name, strings.Join(register.Names(), ", "))
	}
	settings := s.Config.Sources[name]
	return sheet.Open(datasheet.Opening{
		Settings: settings, Accounts: s.accounts(settings), UserAgent: "quantbot/" + s.Version, Concurrency: s.Concurrency, Logger: s.Logger, Now: s.Now,
	})
}

// secretsOf are what no text of others may carry on.
func secretsOf(cfg config.Config) manifest.Secrets { return revealed(cfg.Secrets) }

// WithoutSecrets writes without the secrets of the environment. Services and stores may repeat them, which is taken out where
// their words enter; here it is what anything else repeats, such as DuckDB.
func WithoutSecrets(getenv func(string) string, w io.Writer) io.Writer {
	return revealed(register.Secrets(getenv)).Writer(w)
}

func revealed(secrets []secret.Text) manifest.Secrets {
	values := make([]string, len(secrets))
	for i, secret := range secrets {
		values[i] = secret.Reveal()
	}
	return manifest.NewSecrets(values...)
}

// registerTimeout bounds telling Redis about the accounts of a source.
const registerTimeout = 5 * time.Second

// accounts are one for each key. Without a key there is one all the same: where a source wants one, its response says best what is
// missing.
func (s *Sources) accounts(settings config.Source) []service.Account {
	keys := settings.Keys
	if len(keys) == 0 {
		keys = []secret.Text{""}
	}
	ctx, cancel := context.WithTimeout(context.Background(), registerTimeout)
	defer cancel()
	accounts := make([]service.Account, len(keys))
	for i, key := range keys {
		accounts[i] = s.account(ctx, settings, key.Reveal())
	}
	return accounts
}

// account shares its budget through Redis where there is one.
func (s *Sources) account(ctx context.Context, settings config.Source, key string) service.Account {
	source, perSecond := settings.Settings.Name, settings.PerSecond()
	if s.Redis == nil {
		return s.counted(source, service.Account{Key: key, Budget: service.NewLocal(perSecond, s.Now)})
	}
	account := budget.NewAccount(source, key)
	if err := budget.Register(ctx, s.Redis, account, s.Now()); err != nil {
		s.Logger.WarnContext(ctx, "budget not registered, sources will not list it", "source", source, "err", err)
	}
	return s.counted(source, service.Account{Key: key, Budget: budget.New(budget.Config{
		Redis: s.Redis, Account: account, PerSecond: perSecond, Member: s.Member, Logger: s.Logger, Now: s.Now,
	})})
}
