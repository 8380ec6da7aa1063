package backfill

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
)

// A deployment is one Redis and one ClickHouse database that belong together (R13). The database has the deployment's id
// and says which Redis it goes with; that Redis carries the same id and a random one of its own. A process works only when
// both agree. What must be distinguished:
//
//   - a Redis of another deployment: it carries another id, and is left alone;
//   - a Redis that was emptied (R9): it carries nothing and is the same server as before, so it is bound again at once;
//   - an empty Redis on another server: the one that replaces a lost one, or a second one by mistake. It is adopted once the
//     processes of the former have shown no life for PresenceStale; while they do, it is refused;
//   - a Redis that was left: it carries the deployment's id, and the database has gone on with another. What it knows is
//     of another time, so it is refused until somebody empties it;
//   - a copy of the database: its Redis hears from processes whose presence this database does not have.

// PresenceEvery is how often one process of a deployment shows in ClickHouse that its Redis is in use, and PresenceStale when the
// others stop believing it: three missed records, so that neither a slow insert nor a change of the one who writes them counts.
const (
	PresenceEvery = 10 * time.Second
	PresenceStale = 30 * time.Second
)

// presenceLag is how far the presence in ClickHouse may be behind the one that Redis knows of: a replica may lag.
const presenceLag = PresenceStale

// RedisBinding is what Redis says of itself.
type RedisBinding struct {
	// DeploymentID is whose Redis this is; zero = it is bound to nobody.
	DeploymentID uuid.UUID
	// ID is this Redis' own, made when it was bound.
	ID uuid.UUID
	// Server names the server process and the database in it; empty when Redis does not say.
	Server string
	// PresentAt is ClickHouse's time of the last presence that Redis heard of, and PresenceAge how long ago, by Redis' clock.
	PresentAt   time.Time
	PresenceAge time.Duration
}

// HistoryBinding is what the history says of the Redis that belongs to it.
type HistoryBinding struct {
	DeploymentID uuid.UUID
	// Generation counts the ids that the database has had.
	Generation int
	// Adopted are all Redis of this deployment, the one that counts first.
	Adopted []AdoptedRedis
}

// AdoptedRedis is a Redis that the deployment has, or had.
type AdoptedRedis struct {
	ID       uuid.UUID
	Adoption int
	// Address is how the process that adopted it reached it, for people.
	Address string
	Server  string
	// PresentAt is when its processes last showed life, by ClickHouse's clock, and PresenceAge how long ago; zero = never.
	PresentAt   time.Time
	PresenceAge time.Duration
	// Released says that the last process took its leave.
	Released bool
}

// inUse reports whether processes work with this Redis.
func (r AdoptedRedis) inUse() bool {
	return !r.Released && !r.PresentAt.IsZero() && r.PresenceAge < PresenceStale
}

// DeploymentLedger is what DeploymentGuard needs of Redis.
type DeploymentLedger interface {
	// Binding reads whose Redis this is.
	Binding(ctx context.Context) (RedisBinding, error)
	// Bind makes an unbound Redis the deployment's, under this id. It returns what Redis is bound to then: of two that bind
	// it, one is the first.
	Bind(ctx context.Context, deployment, id uuid.UUID) (RedisBinding, error)
	// RecordPresence notes a presence that the history has, and that the process of this name lives.
	RecordPresence(ctx context.Context, name string, at time.Time) error
	// TakeLeave forgets the process and reports whether no other is left.
	TakeLeave(ctx context.Context, name string) (last bool, err error)
	DutyLedger
}

// DeploymentHistory is what DeploymentGuard needs of ClickHouse.
type DeploymentHistory interface {
	// DeploymentBinding reads the deployment's id and its Redis.
	DeploymentBinding(ctx context.Context) (HistoryBinding, error)
	// AdoptRedis makes a Redis the one that belongs to the deployment.
	AdoptRedis(ctx context.Context, deployment uuid.UUID, redis AdoptedRedis) error
	// RecordRedisPresence writes that processes work with this Redis, or that the last one took its leave, and returns when.
	RecordRedisPresence(ctx context.Context, deployment uuid.UUID, redis RedisBinding, released bool) (at time.Time, err error)
	// Services are the services at which each source is asked, by the source's name.
	Services(ctx context.Context) (map[string][]string, error)
}

// StrangerError says why this process must leave Redis and ClickHouse as they are, in a sentence that says what to do.
type StrangerError struct{ Reason string }

// Error returns the reason.
func (e *StrangerError) Error() string { return e.Reason }

// bindingVerdict says what to do with a Redis and a ClickHouse that were found together.
type bindingVerdict int

const (
	// bindingHolds: they belong together.
	bindingHolds bindingVerdict = iota
	// bindingRestore: the deployment's own Redis was emptied, and is bound again under its id.
	bindingRestore
	// bindingAdopt: this Redis becomes the deployment's.
	bindingAdopt
	// bindingUndecided: another Redis may be in use. Time shows which.
	bindingUndecided
	// bindingRefused: they do not belong together.
	bindingRefused
)

// places name the two servers for people.
type places struct{ redis, history string }

// checkBinding decides; reason says why a verdict is undecided or refused.
func checkBinding(redis RedisBinding, history HistoryBinding, at places) (verdict bindingVerdict, reason string) {
	var current AdoptedRedis
	known := len(history.Adopted) > 0
	if known {
		current = history.Adopted[0]
	}
	switch {
	case redis.DeploymentID == uuid.Nil && known && redis.Server != "" && redis.Server == current.Server:
		return bindingRestore, ""
	case redis.DeploymentID != uuid.Nil && redis.DeploymentID != history.DeploymentID:
		return bindingRefused, fmt.Sprintf("Redis at %s belongs to deployment %s and ClickHouse at %s is deployment %s: set REDIS_URL and CLICKHOUSE_HOST, CLICKHOUSE_DATABASE to servers of one deployment; if the other one is gone for good, empty this Redis (redis-cli FLUSHDB)",
			at.redis, redis.DeploymentID, at.history, history.DeploymentID)
	case redis.DeploymentID != uuid.Nil && known && redis.ID == current.ID:
		return checkPresence(redis, history, at)
	case redis.DeploymentID != uuid.Nil && wasAdopted(history, redis.ID):
		return bindingRefused, fmt.Sprintf("deployment %s went on with the Redis at %s; the one at %s still has the state of the time before: empty it (redis-cli FLUSHDB) to use it again, or set REDIS_URL to the other",
			history.DeploymentID, current.Address, at.redis)
	case known && current.inUse():
		return bindingUndecided, fmt.Sprintf("ClickHouse at %s is in use together with the Redis at %s (last seen %s ago), and the Redis at %s is another one: set REDIS_URL to the former, or give this one a database of its own (CLICKHOUSE_DATABASE)",
			at.history, current.Address, current.PresenceAge.Round(time.Second), at.redis)
	}
	return bindingAdopt, ""
}

// checkPresence distinguishes a ClickHouse that belongs to this Redis from a copy of it: of the presence that is being written now,
// a copy has none.
func checkPresence(redis RedisBinding, history HistoryBinding, at places) (bindingVerdict, string) {
	presentAt := history.Adopted[0].PresentAt
	if redis.PresenceAge < PresenceStale && !redis.PresentAt.IsZero() && presentAt.Before(redis.PresentAt.Add(-presenceLag)) {
		return bindingRefused, fmt.Sprintf("the Redis at %s is in use together with another ClickHouse than the one at %s, which is a copy of it or holds an older state (deployment %s): give the copy an id of its own with quantbot migrate --new-deployment, and a Redis of its own; after restoring a backup, empty Redis (redis-cli FLUSHDB)",
			at.redis, at.history, history.DeploymentID)
	}
	return bindingHolds, ""
}

func wasAdopted(history HistoryBinding, id uuid.UUID) bool {
	for _, redis := range history.Adopted {
		if redis.ID == id {
			return true
		}
	}
	return false
}

// EarlierService is where runs asked a source before the database kept it: the service by name, or a base URL; both empty mean
// the vendor's own address.
type EarlierService struct{ Service, BaseURL string }
