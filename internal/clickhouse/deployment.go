package clickhouse

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"

	"quantbot/internal/backfill"
)

var _ backfill.DeploymentHistory = (*DB)(nil)

// DeploymentBinding reads the deployment's id and its Redis.
func (db *DB) DeploymentBinding(ctx context.Context) (binding backfill.HistoryBinding, err error) {
	id, generation, err := db.deployment(ctx)
	if err != nil {
		return binding, err
	}
	type row struct {
		RedisID  uuid.UUID `ch:"redis_id"`
		Adoption uint32    `ch:"adoption"`
		Address  string    `ch:"redis_address"`
		Server   string    `ch:"redis_server"`
		SeenAt   time.Time `ch:"seen_at"`
		Released bool      `ch:"released"`
		AgeUS    int64     `ch:"age_us"`
	}
	rows, err := selectStructs[row](ctx, db, deploymentRedisSQL, named("deployment", id))
	if err != nil {
		return binding, db.Failed("read which Redis belongs to the deployment", err)
	}
	binding.DeploymentID, binding.Generation = id, generation
	for _, r := range rows {
		adopted := backfill.AdoptedRedis{ID: r.RedisID, Adoption: int(r.Adoption), Address: r.Address, Server: r.Server}
		if r.SeenAt.Unix() > 0 {
			adopted.PresentAt, adopted.PresenceAge, adopted.Released = r.SeenAt.UTC(), time.Duration(r.AgeUS)*time.Microsecond, r.Released
		}
		binding.Adopted = append(binding.Adopted, adopted)
	}
	return binding, nil
}

func (db *DB) deployment(ctx context.Context) (id uuid.UUID, generation int, err error) {
	ctx, cancel := context.WithTimeout(ctx, queryTimeout)
	defer cancel()
	var stored uint32
	err = db.conn.QueryRow(ctx, deploymentSQL).Scan(&id, &stored)
	return id, int(stored), db.Failed("read the deployment's id", err)
}

// AdoptRedis makes a Redis the one that belongs to the deployment. Written twice, it counts once.
func (db *DB) AdoptRedis(ctx context.Context, deployment uuid.UUID, redis backfill.AdoptedRedis) error {
	type row struct {
		DeploymentID uuid.UUID `ch:"deployment_id"`
		Adoption     uint32    `ch:"adoption"`
		RedisID      uuid.UUID `ch:"redis_id"`
		Server       string    `ch:"redis_server"`
		Address      string    `ch:"redis_address"`
	}
	err := insertStructs(ctx, db, insertDeploymentRedisSQL, []row{{
		DeploymentID: deployment, Adoption: uint32(redis.Adoption), RedisID: redis.ID, Server: redis.Server, Address: redis.Address,
	}})
	return db.Failed("adopt a Redis", err)
}

// RecordRedisPresence writes that processes work with this Redis, or that the last one took its leave, and returns the server's time of
// it.
func (db *DB) RecordRedisPresence(ctx context.Context, deployment uuid.UUID, redis backfill.RedisBinding, released bool) (at time.Time, err error) {
	type row struct {
		DeploymentID uuid.UUID `ch:"deployment_id"`
		RedisID      uuid.UUID `ch:"redis_id"`
		ClickHouse   uuid.UUID `ch:"clickhouse_server"`
		Server       string    `ch:"redis_server"`
		Released     bool      `ch:"released"`
		SeenAt       time.Time `ch:"seen_at"`
	}
	sign := row{DeploymentID: deployment, RedisID: redis.ID, Server: redis.Server, Released: released}
	err = func() error {
		ctx, cancel := context.WithTimeout(ctx, queryTimeout)
		defer cancel()
		return db.conn.QueryRow(ctx, serverMomentSQL).Scan(&sign.ClickHouse, &sign.SeenAt)
	}()
	if err == nil {
		err = insertStructs(ctx, db, insertDeploymentSignSQL, []row{sign})
	}
	return sign.SeenAt.UTC(), db.Failed("sign that Redis is in use", err)
}

// NewDeployment gives the database an id of its own, in place of the one that it carries: it is a copy. by is user@host.
func (db *DB) NewDeployment(ctx context.Context, by string) (id uuid.UUID, err error) {
	_, generation, err := db.deployment(ctx)
	if err != nil {
		return uuid.Nil, err
	}
	type row struct {
		Generation   uint32    `ch:"generation"`
		DeploymentID uuid.UUID `ch:"deployment_id"`
		By           string    `ch:"recorded_by"`
	}
	id = uuid.New()
	err = insertStructs(ctx, db, insertDeploymentSQL, []row{{Generation: uint32(generation) + 1, DeploymentID: id, By: by}})
	return id, db.Failed("give the database an id of its own", err)
}

// checkDeployment warns when another server answers for the same id: one of the two is a copy.
func (db *DB) checkDeployment(ctx context.Context) Finding {
	const name = "deployment"
	id, _, err := db.deployment(ctx)
	if err != nil {
		return Finding{Name: name, Level: LevelWarning, Detail: err.Error(), Hint: "run: quantbot migrate"}
	}
	type row struct {
		Server uuid.UUID `ch:"clickhouse_server"`
		SeenAt time.Time `ch:"last_seen_at"`
	}
	others, err := selectStructs[row](ctx, db, deploymentServersSQL, named("deployment", id))
	finding := Finding{Name: name, Level: LevelOK, Detail: fmt.Sprintf("%s at ClickHouse %s", id, db.addr)}
	switch {
	case err != nil:
		finding.Level, finding.Detail, finding.Hint = LevelWarning, db.explain(err).Error(), "look into the server's log"
	case len(others) > 0:
		finding.Level = LevelWarning
		finding.Detail = fmt.Sprintf("%s also answered from ClickHouse server %s, last seen %s", id, others[0].Server, others[0].SeenAt.UTC().Format(time.RFC3339))
		finding.Hint = "if this database is a copy: quantbot migrate --new-deployment; if it was moved here, or the servers are replicas: nothing"
	}
	return finding
}
