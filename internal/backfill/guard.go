package backfill

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"
	"golang.org/x/time/rate"

	"quantbot/internal/manifest"
)

// DeploymentGuard keeps a process to its deployment: it binds Redis and ClickHouse to one another, looks again and again
// whether they still are, and shows the others that the two are in use. A nil guard lets everything pass: it is for tests
// of what comes behind it.
type DeploymentGuard struct {
	GuardConfig

	mu     sync.Mutex
	id     uuid.UUID
	redis  RedisBinding
	reason error // why this process is a stranger; nil = it is not
	signed bool
	// asks is where this process asks sources, known where the deployment does.
	asks  map[string]string
	known map[string][]string
	// changed is closed, and made anew, when the process becomes a stranger or ceases to be one.
	changed chan struct{}

	// What may come again and again is logged once a minute.
	strange, foreign, unread, unsigned, unadoptedYet rate.Sometimes
}

// GuardConfig configures a DeploymentGuard.
type GuardConfig struct {
	Ledger  DeploymentLedger
	History DeploymentHistory
	// Name is this process among those that show life.
	Name string
	// RedisAddress and HistoryAddress name the servers for people, without user and password.
	RedisAddress   string
	HistoryAddress string
	// ServicesOf is where the run with this manifest asks its sources.
	ServicesOf func(m *manifest.Manifest) map[string]string
	Logger     *slog.Logger
}

// NewDeploymentGuard returns a guard that has not looked yet.
func NewDeploymentGuard(cfg GuardConfig) *DeploymentGuard {
	g := &DeploymentGuard{GuardConfig: cfg, changed: make(chan struct{})}
	for _, message := range []*rate.Sometimes{&g.strange, &g.foreign, &g.unread, &g.unsigned, &g.unadoptedYet} {
		message.Interval = time.Minute
	}
	return g
}

// Timing of the guard.
const (
	// guardEvery is how soon a process sees that Redis or ClickHouse is another one: two short questions.
	guardEvery = 5 * time.Second
	// undecidedPoll is how often a starting process looks whether a sign of life comes from elsewhere.
	undecidedPoll = time.Second
	// signDuty names the one that signs, and leaveTime bounds the last call of a process that ends.
	signDuty  = "deployment-sign"
	leaveTime = 5 * time.Second
)

// ID is the deployment that this process belongs to.
func (g *DeploymentGuard) ID() uuid.UUID {
	if g == nil {
		return uuid.Nil
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.id
}

// Err says why this process must not work now: a *StrangerError. It asks nobody.
func (g *DeploymentGuard) Err() error {
	if g == nil {
		return nil
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.reason
}

// Owns reports whether a run or task of this deployment is this process' own. Those of before there were ids are everybody's.
func (g *DeploymentGuard) Owns(deployment uuid.UUID) bool {
	return g == nil || deployment == uuid.Nil || deployment == g.ID()
}

// Foreign is the error of what belongs to another deployment; it says so in the log once a minute.
func (g *DeploymentGuard) Foreign(ctx context.Context, what string, deployment uuid.UUID) error {
	err := &StrangerError{Reason: fmt.Sprintf("%s belongs to deployment %s, this process to %s", what, deployment, g.ID())}
	g.foreign.Do(func() { g.Logger.WarnContext(ctx, "left alone what belongs to another deployment", "err", err) })
	return WithClass(ClassForeign, err)
}

// AskServices says at which services this process asks sources, and looks: a *StrangerError says that the deployment asks one
// of them elsewhere.
func (g *DeploymentGuard) AskServices(ctx context.Context, services map[string]string) error {
	g.mu.Lock()
	g.asks = services
	g.mu.Unlock()
	return g.Check(ctx)
}

// judgeServices remembers where the deployment asks sources, and compares it with where this process does.
func (g *DeploymentGuard) judgeServices(known map[string][]string) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.known = known
	for _, source := range slices.Sorted(maps.Keys(g.asks)) {
		if services := known[source]; len(services) > 0 && !slices.Contains(services, g.asks[source]) {
			return &StrangerError{Reason: fmt.Sprintf("%s is asked at %s in this deployment, and at %s by this process: configure the same service, or say that it moved (quantbot migrate --service-moved SOURCE)",
				source, services[0], g.asks[source])}
		}
	}
	return nil
}

// Serves says why this process cannot fill chunks of the run: it asks one of the run's sources at another service. It says so
// in the log once a minute, and the chunk goes back for others.
func (g *DeploymentGuard) Serves(ctx context.Context, m *manifest.Manifest) error {
	if g == nil || g.ServicesOf == nil {
		return nil
	}
	g.mu.Lock()
	asks, known := g.asks, g.known
	g.mu.Unlock()
	services := g.ServicesOf(m)
	for _, source := range slices.Sorted(maps.Keys(services)) {
		own, asked := asks[source]
		same := own == services[source] || slices.Contains(known[source], own) && slices.Contains(known[source], services[source])
		if !asked || same {
			continue
		}
		err := &StrangerError{Reason: fmt.Sprintf("run %s asks %s at %s, this worker at %s", m.RunID, source, services[source], own)}
		g.foreign.Do(func() { g.Logger.WarnContext(ctx, "left alone a run of another service", "err", err) })
		return WithClass(ClassForeign, err)
	}
	return nil
}

// Bind is the first look of a process. While another Redis may be in use it waits until that shows life, or does not: up to
// SignStale. Its error is a *StrangerError, or trouble with a store.
func (g *DeploymentGuard) Bind(ctx context.Context) error {
	var first time.Time
	for waited := false; ; waited = true {
		verdict, history, err := g.look(ctx)
		stranger, undecided := errors.AsType[*StrangerError](err)
		if !undecided || verdict != bindingUndecided {
			return err
		}
		latest := history.Adopted[0].SignedAt
		if !waited {
			first = latest
			g.Logger.WarnContext(ctx, "redis is empty and another one was in use until now, looking whether it still is", "err", err)
		}
		if latest.After(first) {
			return stranger
		}
		if !pause(ctx, undecidedPoll) {
			return ctx.Err()
		}
	}
}

// Check looks once and does what follows. It returns nil while the process may work, also when a store does not answer: then
// what was last known holds (R7).
func (g *DeploymentGuard) Check(ctx context.Context) error {
	if g == nil {
		return nil
	}
	_, _, err := g.look(ctx)
	if _, stranger := errors.AsType[*StrangerError](err); err != nil && !stranger {
		if ctx.Err() == nil {
			g.unread.Do(func() {
				g.Logger.WarnContext(ctx, "not looked up whether Redis and ClickHouse still belong together", "err", err)
			})
		}
		return g.Err()
	}
	return err
}

// Look says whether Redis and ClickHouse belong together, and changes nothing.
func (g *DeploymentGuard) Look(ctx context.Context) (HistoryBinding, error) {
	history, redis, err := g.read(ctx)
	if err != nil {
		return history, err
	}
	if verdict, reason := judgeBinding(redis, history, g.places()); verdict == bindingUndecided || verdict == bindingRefused {
		return history, &StrangerError{Reason: reason}
	}
	return history, nil
}

func (g *DeploymentGuard) places() places { return places{g.RedisAddress, g.HistoryAddress} }

// read asks Redis first: a sign of life reaches the history before Redis, so what Redis knows of is there.
func (g *DeploymentGuard) read(ctx context.Context) (history HistoryBinding, redis RedisBinding, err error) {
	if redis, err = g.Ledger.Binding(ctx); err != nil {
		return history, redis, fmt.Errorf("read whose Redis this is: %w", err)
	}
	if history, err = g.History.DeploymentBinding(ctx); err != nil {
		return history, redis, fmt.Errorf("read the deployment: %w", err)
	}
	return history, redis, nil
}

// maxLooks bounds how often a look acts and looks again: once for a restored or adopted Redis, and once more when another
// process acted at the same time.
const maxLooks = 3

// look reads both stores, acts on the verdict until there is nothing to do, and remembers what came out.
func (g *DeploymentGuard) look(ctx context.Context) (verdict bindingVerdict, history HistoryBinding, err error) {
	for range maxLooks {
		var redis RedisBinding
		if history, redis, err = g.read(ctx); err != nil {
			return verdict, history, err
		}
		var reason string
		switch verdict, reason = judgeBinding(redis, history, g.places()); verdict {
		case bindingHolds:
			return verdict, history, g.holds(ctx, redis, history)
		case bindingUndecided, bindingRefused:
			err = &StrangerError{Reason: reason}
			g.remember(ctx, history.DeploymentID, redis, err)
			return verdict, history, err
		case bindingRestore:
			if err := g.restore(ctx, history); err != nil {
				return verdict, history, err
			}
		case bindingAdopt:
			err := g.adopt(ctx, redis, history)
			if errors.Is(err, errAdoptionUnwritten) {
				return verdict, history, g.unadopted(ctx, history, err)
			}
			if err != nil {
				return verdict, history, err
			}
		}
	}
	return verdict, history, WithClass(ClassStore, fmt.Errorf("redis at %s does not keep whose it is", g.RedisAddress))
}

// holds remembers that the two belong together. Its error says that sources are asked elsewhere, or not known where.
func (g *DeploymentGuard) holds(ctx context.Context, redis RedisBinding, history HistoryBinding) error {
	known, err := g.History.Services(ctx)
	if err != nil {
		return fmt.Errorf("read at which services sources are asked: %w", err)
	}
	err = g.judgeServices(known)
	g.remember(ctx, history.DeploymentID, redis, err)
	return err
}

// errAdoptionUnwritten: Redis is bound to the deployment, and the history takes no note of that.
var errAdoptionUnwritten = errors.New("write down which Redis belongs to the deployment")

// unadopted goes on with a Redis that nobody contests, while ClickHouse refuses to take a note: a user who may not write, a full
// disk. Whoever needs to write waits for that where everybody sees it (R7), and the next look tries again.
func (g *DeploymentGuard) unadopted(ctx context.Context, history HistoryBinding, cause error) error {
	redis, err := g.Ledger.Binding(ctx)
	if err != nil {
		return fmt.Errorf("read whose Redis this is: %w", err)
	}
	if redis.DeploymentID != history.DeploymentID {
		return cause // it was emptied, or bound by another, just now
	}
	g.unadoptedYet.Do(func() {
		g.Logger.WarnContext(ctx, "not written down that Redis belongs to the deployment, going on", "redis", g.RedisAddress, "err", cause)
	})
	return g.holds(ctx, redis, history)
}

// restore looks at Redis once more: another process may have bound it for the first time between the two questions.
func (g *DeploymentGuard) restore(ctx context.Context, history HistoryBinding) error {
	redis, err := g.Ledger.Binding(ctx)
	if err == nil && redis.DeploymentID == uuid.Nil {
		g.Logger.WarnContext(ctx, "redis was emptied, bound to the deployment again", "deployment", history.DeploymentID, "redis", g.RedisAddress)
		_, err = g.Ledger.Bind(ctx, history.DeploymentID, history.Adopted[0].ID)
	}
	if err != nil {
		return fmt.Errorf("bind Redis to the deployment again: %w", err)
	}
	return nil
}

// adopt binds Redis first, because there one of several processes is the first, and all of them write down the same then.
func (g *DeploymentGuard) adopt(ctx context.Context, redis RedisBinding, history HistoryBinding) (err error) {
	number := 1
	if len(history.Adopted) > 0 {
		former := history.Adopted[0]
		number = former.Adoption + 1
		g.Logger.WarnContext(ctx, "the deployment goes on with another Redis", "deployment", history.DeploymentID,
			"redis", g.RedisAddress, "former", former.Address, "former_last_seen", former.SignedAt)
	}
	if redis.DeploymentID == uuid.Nil {
		if redis, err = g.Ledger.Bind(ctx, history.DeploymentID, uuid.New()); err != nil {
			return fmt.Errorf("bind Redis to the deployment: %w", err)
		}
	}
	if redis.DeploymentID != history.DeploymentID {
		return nil // another deployment was faster, and the next look says so
	}
	err = g.History.AdoptRedis(ctx, history.DeploymentID, AdoptedRedis{ID: redis.ID, Adoption: number, Address: g.RedisAddress, Server: redis.Server})
	if err != nil {
		return fmt.Errorf("%w: %w", errAdoptionUnwritten, err)
	}
	return nil
}

func (g *DeploymentGuard) remember(ctx context.Context, id uuid.UUID, redis RedisBinding, stranger error) {
	g.mu.Lock()
	was := g.reason != nil
	g.id, g.redis, g.reason = id, redis, stranger
	if was != (stranger != nil) {
		close(g.changed)
		g.changed = make(chan struct{})
	}
	g.mu.Unlock()
	if stranger == nil && was {
		g.Logger.InfoContext(ctx, "redis and ClickHouse belong together again", "deployment", id)
	}
}

// state returns the reason together with the channel that is closed when it changes.
func (g *DeploymentGuard) state() (changed <-chan struct{}, reason error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.changed, g.reason
}

// While returns a context that ends when this process becomes a stranger. stop must be called.
func (g *DeploymentGuard) While(ctx context.Context) (while context.Context, stop func()) {
	while, cancel := context.WithCancel(ctx)
	changed, reason := g.state()
	if reason != nil {
		cancel()
		return while, cancel
	}
	var watching sync.WaitGroup
	watching.Go(func() {
		select {
		case <-while.Done():
		case <-changed:
			cancel()
		}
	})
	return while, func() { cancel(); watching.Wait() }
}

// Await waits until this process may work, and reports whether it may: false when ctx has ended.
func (g *DeploymentGuard) Await(ctx context.Context) bool {
	for ctx.Err() == nil {
		changed, reason := g.state()
		if reason == nil {
			return true
		}
		select {
		case <-ctx.Done():
		case <-changed:
		}
	}
	return false
}

// Run looks every few seconds, and shows life while all is well, until ctx ends; then it takes its leave, so that an empty
// Redis need not be waited for.
func (g *DeploymentGuard) Run(ctx context.Context) {
	ticker := time.NewTicker(guardEvery)
	defer ticker.Stop()
	for look := 0; ; look++ {
		err := g.Check(ctx)
		if err != nil {
			g.strange.Do(func() {
				g.Logger.ErrorContext(ctx, "redis and ClickHouse do not belong together, leaving both alone", "err", err)
			})
		} else if look%int(SignEvery/guardEvery) == 0 {
			g.sign(ctx)
		}
		select {
		case <-ctx.Done():
			g.takeLeave(context.WithoutCancel(ctx))
			return
		case <-ticker.C:
		}
	}
}

// sign shows life, if no other process of the deployment does it now. One that stops is followed within two signs.
func (g *DeploymentGuard) sign(ctx context.Context) {
	g.mu.Lock()
	id, redis := g.id, g.redis
	g.mu.Unlock()
	held, err := g.Ledger.Claim(ctx, signDuty, g.Name, SignEvery+guardEvery)
	at := time.Time{}
	if err == nil && held {
		at, err = g.History.SignRedis(ctx, id, redis, false)
	}
	if err == nil {
		err = g.Ledger.Signed(ctx, g.Name, at)
	}
	if err != nil {
		if ctx.Err() == nil {
			g.unsigned.Do(func() { g.Logger.WarnContext(ctx, "sign of life not written", "err", err) })
		}
		return
	}
	g.mu.Lock()
	g.signed = true
	g.mu.Unlock()
}

func (g *DeploymentGuard) takeLeave(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, leaveTime)
	defer cancel()
	g.mu.Lock()
	id, redis, signed, stranger := g.id, g.redis, g.signed, g.reason
	g.mu.Unlock()
	if !signed || stranger != nil {
		return
	}
	last, err := g.Ledger.TakeLeave(ctx, g.Name)
	if err == nil && last {
		_, err = g.History.SignRedis(ctx, id, redis, true)
	}
	if err != nil {
		g.Logger.DebugContext(ctx, "leave not taken, the last sign of life grows stale", "err", err)
	}
}
