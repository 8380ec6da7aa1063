// Package wiring joins the packages into what the programs run: the stores that all of them open, the sources by name,
// and a worker. Constructors alone: what decides something lives in the packages that are joined.
package wiring

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"time"

	"github.com/google/uuid"
	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/logging"

	"quantbot/internal/backfill"
	"quantbot/internal/clickhouse"
	"quantbot/internal/clickhouse/report"
	"quantbot/internal/config"
	"quantbot/internal/fleet"
	"quantbot/internal/ledger"
	"quantbot/internal/services"
	"quantbot/internal/source/budget"
	"quantbot/internal/source/register"
	"quantbot/internal/tasks"
)

// Stores are the open connections of a program.
type Stores struct {
	Redis   redis.UniversalClient
	Ledger  *ledger.Ledger
	Queue   *tasks.Queue
	History *clickhouse.DB
	// Deployment keeps this process to the deployment that the other three are of; nil unless all of them are open.
	Deployment *backfill.DeploymentGuard

	// Fleet is how this process sees the workers, and the stores once it watches them.
	Fleet *fleet.View

	// redisAddress names Redis without its password.
	redisAddress string
}

// openTimeout bounds how long a program waits for Redis and ClickHouse to answer at its start.
const openTimeout = 10 * time.Second

// OpenStores connects to Redis and ClickHouse, applies missing migrations, and makes sure that the two belong together. Each
// error is one sentence that names the server; a *backfill.StrangerError says that they do not.
func OpenStores(ctx context.Context, cfg config.Config, logger *slog.Logger) (*Stores, error) {
	s, err := OpenRedis(ctx, cfg)
	if err != nil {
		return nil, err
	}
	if s.History, err = OpenHistory(ctx, cfg, logger); err != nil {
		return nil, errors.Join(s.Fleet.AsWorkersSeeIt(ctx, err), s.Close())
	}
	s.Fleet.Stores[backfill.StoreName] = s.History.Ping
	if _, err := s.History.Migrate(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("migrate ClickHouse: %w", err), s.Close())
	}
	s.Deployment = s.guard(cfg, logger)
	if err := s.Deployment.Bind(ctx); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// guard returns the guard of the deployment, which is not bound yet.
func (s *Stores) guard(cfg config.Config, logger *slog.Logger) *backfill.DeploymentGuard {
	return backfill.NewDeploymentGuard(backfill.GuardConfig{
		Ledger: s.Ledger, History: s.History, Name: workerName() + "/" + uuid.NewString(),
		RedisAddress: cfg.Redis.Address(), HistoryAddress: cfg.ClickHouse.Address() + "/" + s.History.Database(),
		ServicesOf: services.OfRun(cfg), Logger: logger,
	})
}

// Examine says whether Redis and ClickHouse belong together, and changes nothing; see backfill.DeploymentGuard.Look.
func (s *Stores) Examine(ctx context.Context, cfg config.Config, logger *slog.Logger) (backfill.HistoryBinding, error) {
	return s.guard(cfg, logger).Look(ctx)
}

// deniedWait is how long a Redis in protected mode has to say so.
const deniedWait = time.Second

// refusesOtherMachines reports whether a Redis is in protected mode. It says so to whoever connects and hangs up before it is
// asked anything, which its clients report as a broken pipe.
func refusesOtherMachines(ctx context.Context, address string) bool {
	ctx, cancel := context.WithTimeout(ctx, deniedWait)
	defer cancel()
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "tcp", address)
	if err != nil {
		return false
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	word := make([]byte, len("-DENIED"))
	_, err = io.ReadFull(conn, word)
	return err == nil && string(word) == "-DENIED"
}

// RedisOf is Redis as the programs reach it: no error of its clients repeats a secret.
func RedisOf(cfg config.Config) *config.Redis { return cfg.Redis.Redacting(secretsOf(cfg).Error) }

// OpenRedis connects to Redis alone: ledger and queue.
func OpenRedis(ctx context.Context, cfg config.Config) (*Stores, error) {
	logging.Disable() // the client writes to stderr by itself; all that it says comes back as an error, too
	settings := RedisOf(cfg)
	client := settings.NewClient()
	s := &Stores{Redis: client, Queue: tasks.NewQueue(settings), Ledger: ledger.New(client), redisAddress: cfg.Redis.String()}
	s.Fleet = s.fleet()
	asked := time.Now() //nolint:forbidigo // from when on an outage is known: for people, and compared with nothing
	ctx, cancel := context.WithTimeout(ctx, openTimeout)
	defer cancel()
	if err := s.pingRedis(ctx); err != nil {
		return nil, errors.Join(backfill.Outage(backfill.LedgerName, asked, err), s.Close())
	}
	return s, nil
}

func (s *Stores) fleet() *fleet.View {
	return &fleet.View{
		Queue: s.Queue, Ledger: s.Ledger, Sources: register.Names(),
		Budgets: func(ctx context.Context) ([]budget.Status, error) { return budget.List(ctx, s.Redis) },
		Stores:  map[string]func(context.Context) error{backfill.LedgerName: s.pingRedis},
	}
}

// AsWorkersSeeIt is fleet.View.AsWorkersSeeIt for whoever could not open ClickHouse and has not opened Redis.
func AsWorkersSeeIt(ctx context.Context, cfg config.Config, err error) error {
	if _, outage := errors.AsType[*backfill.OutageError](err); !outage {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, redisTimeout)
	defer cancel()
	stores, away := OpenRedis(ctx, cfg)
	if away != nil {
		return err // what is known of ClickHouse is what was asked for
	}
	defer func() { _ = stores.Close() }() // it was only read from
	return stores.Fleet.AsWorkersSeeIt(ctx, err)
}

// redisTimeout bounds how long whoever looks for better words waits for Redis.
const redisTimeout = time.Second

// pingRedis asks Redis for nothing. Its error is one sentence that says what to do.
func (s *Stores) pingRedis(ctx context.Context) error {
	err := s.Redis.Ping(ctx).Err()
	if err == nil {
		return nil
	}
	reason := ledger.Reason(err)
	if refusesOtherMachines(ctx, s.redisAddress) {
		reason = backfill.WaitRights
		err = fmt.Errorf("redis at %s is in protected mode and refuses other machines: give it a password (requirepass) and put it into REDIS_URL, or bind it to this machine", s.redisAddress)
	} else {
		err = fmt.Errorf("redis at %s does not answer (%w): start it, or set REDIS_URL to where it runs; quantbot --local needs no server", s.redisAddress, err)
	}
	return &backfill.ClassError{Class: backfill.ClassStore, Reason: reason, Err: err}
}

// OpenHistory connects to ClickHouse alone.
func OpenHistory(ctx context.Context, cfg config.Config, logger *slog.Logger) (*clickhouse.DB, error) {
	asked := time.Now() //nolint:forbidigo // from when on an outage is known: for people, and compared with nothing
	db, err := clickhouse.Open(ctx, clickhouse.Config{
		Host: cfg.ClickHouse.Host, Port: cfg.ClickHouse.Port, Database: cfg.ClickHouse.Database,
		User: cfg.ClickHouse.User, Password: cfg.ClickHouse.Password, DSN: cfg.ClickHouse.DSN,
		RollbackWindow: cfg.RollbackWindow, Secrets: secretsOf(cfg),
	}, logger)
	if backfill.ClassOf(err) == backfill.ClassStore {
		return nil, backfill.Outage(backfill.StoreName, asked, err)
	}
	return db, err
}

// Services compares at which services sources are asked with where the history's candles come from.
func Services(cfg config.Config, history *clickhouse.DB) *services.Checker {
	return &services.Checker{Config: cfg, Database: history.Database(), History: struct {
		*clickhouse.DB
		report.Reader
	}{history, report.New(history)}}
}

// Close closes what is open.
func (s *Stores) Close() error {
	var errs []error
	if s.Redis != nil {
		errs = append(errs, s.Redis.Close())
	}
	if s.Queue != nil {
		errs = append(errs, s.Queue.Close())
	}
	if s.History != nil {
		errs = append(errs, s.History.Close())
	}
	return errors.Join(errs...)
}

// Clock is the stores' clock; host is that of this machine.
func (s *Stores) Clock(host func() time.Time) *backfill.Clock {
	return &backfill.Clock{Stores: []backfill.TimeFunc{s.Ledger.Now, s.History.Now}, Host: host}
}

// RedisTime asks Redis for its time, over a connection of its own.
func RedisTime(cfg config.Config) backfill.TimeFunc {
	return func(ctx context.Context) (now time.Time, err error) {
		stores, err := OpenRedis(ctx, cfg)
		if err != nil {
			return time.Time{}, err
		}
		defer func() { err = errors.Join(err, stores.Close()) }()
		return stores.Ledger.Now(ctx)
	}
}

// ClickHouseTime asks ClickHouse for its time, over a connection of its own.
func ClickHouseTime(cfg config.Config, logger *slog.Logger) backfill.TimeFunc {
	return func(ctx context.Context) (now time.Time, err error) {
		history, err := OpenHistory(ctx, cfg, logger)
		if err != nil {
			return time.Time{}, err
		}
		defer func() { err = errors.Join(err, history.Close()) }()
		return history.Now(ctx)
	}
}

// Finisher ends attempts.
func (s *Stores) Finisher(logger *slog.Logger, now func() time.Time) *backfill.Finisher {
	return &backfill.Finisher{Ledger: s.Ledger, History: s.History, Logger: logger, Now: now}
}

// Launcher starts runs.
func (s *Stores) Launcher(logger *slog.Logger, now func() time.Time) *backfill.Launcher {
	return &backfill.Launcher{
		Ledger: s.Ledger, History: s.History, Queue: s.Queue, Finisher: s.Finisher(logger, now), Logger: logger,
	}
}

// Reconciler repairs runs; name is this process in leases and outcomes.
func (s *Stores) Reconciler(name string, logger *slog.Logger, now func() time.Time) *backfill.Reconciler {
	return &backfill.Reconciler{
		Ledger: s.Ledger, History: s.History, Queue: s.Queue, Launcher: s.Launcher(logger, now),
		Finisher: s.Finisher(logger, now), Deployment: s.Deployment, Name: name, Logger: logger, Now: now,
	}
}

// Retrier starts further attempts of runs.
func (s *Stores) Retrier(logger *slog.Logger, now func() time.Time) *backfill.Retrier {
	return &backfill.Retrier{
		Ledger: s.Ledger, History: s.History, Launcher: s.Launcher(logger, now), Finisher: s.Finisher(logger, now),
		DeploymentID: s.Deployment.ID(), Logger: logger,
	}
}

// Canceller ends runs before their time.
func (s *Stores) Canceller(name string, logger *slog.Logger, now func() time.Time) *backfill.Canceller {
	return &backfill.Canceller{
		Ledger: s.Ledger, History: s.History, Finisher: s.Finisher(logger, now), Name: name, Logger: logger, Now: now,
	}
}
