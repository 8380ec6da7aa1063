package backfill

import (
	"context"
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

	mu        sync.Mutex
	id        uuid.UUID
	redis     RedisBinding
	reason    error // why this process is a stranger; nil = it is not
	announced bool
	// services is where this process asks its sources, by source; known is where the deployment does.
	services map[string]string
	known    map[string][]string
	// changed is closed, and made anew, when the process becomes a stranger or ceases to be one.
	changed chan struct{}

	// What may come again and again is logged once a minute.
	stranger, foreignWork, unreadable, unannounced, notAdopted rate.Sometimes
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
	for _, message := range []*rate.Sometimes{&g.stranger, &g.foreignWork, &g.unreadable, &g.unannounced, &g.notAdopted} {
		message.Interval = time.Minute
	}
	return g
}

// Timing of the guard.
const (
	// guardEvery is how soon a process sees that Redis or ClickHouse is another one: two short questions.
	guardEvery = 5 * time.Second
	// undecidedPoll is how often a starting process looks whether a presence comes from another deployment.
	undecidedPoll = time.Second
	// leaveTime bounds the last call of a process that ends.
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
	g.foreignWork.Do(func() { g.Logger.WarnContext(ctx, "left alone what belongs to another deployment", "err", err) })
	return WithClass(ClassForeign, err)
}

// AskServices says at which services this process asks sources, and looks: a *StrangerError says that the deployment asks one
// of them elsewhere.
func (g *DeploymentGuard) AskServices(ctx context.Context, services map[string]string) error {
	g.mu.Lock()
	g.services = services
	g.mu.Unlock()
	return g.Check(ctx)
}

// checkServices remembers where the deployment asks sources, and compares it with where this process does.
func (g *DeploymentGuard) checkServices(known map[string][]string) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.known = known
	for _, source := range slices.Sorted(maps.Keys(g.services)) {
		if services := known[source]; len(services) > 0 && !slices.Contains(services, g.services[source]) {
			return &StrangerError{Reason: fmt.Sprintf("%s is asked at %s in this deployment, and at %s by this process: configure the same service, or say that it moved (quantbot migrate --service-moved SOURCE)",
				source, services[0], g.services[source])}
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
	own, known := g.services, g.known
	g.mu.Unlock()
	wanted := g.ServicesOf(m)
	for _, source := range slices.Sorted(maps.Keys(wanted)) {
		here, asked := own[source]
		same := here == wanted[source] || slices.Contains(known[source], here) && slices.Contains(known[source], wanted[source])
		if !asked || same {
			continue
		}
		err := &StrangerError{Reason: fmt.Sprintf("run %s asks %s at %s, this worker at %s", m.RunID, source, wanted[source], here)}
		g.foreignWork.Do(func() { g.Logger.WarnContext(ctx, "left alone a run of another service", "err", err) })
		return WithClass(ClassForeign, err)
	}
	return nil
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
