package ledger

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/google/uuid"
	"github.com/redis/go-redis/v9"

	"quantbot/internal/backfill"
)

var _ backfill.DeploymentLedger = (*Ledger)(nil)

// Binding reads whose Redis this is.
func (l *Ledger) Binding(ctx context.Context) (backfill.RedisBinding, error) {
	binding, _, err := l.binding(ctx, "read")
	return binding, err
}

// Bind makes an unbound Redis the deployment's, under this id. What is bound stays as it is, and is returned.
func (l *Ledger) Bind(ctx context.Context, deployment, id uuid.UUID) (backfill.RedisBinding, error) {
	binding, _, err := l.binding(ctx, "bind", deployment.String(), id.String())
	return binding, err
}

// RecordPresence notes that the process of this name lives, and when the history got its presence; a zero time leaves the last one.
func (l *Ledger) RecordPresence(ctx context.Context, name string, at time.Time) error {
	presentAt := int64(0)
	if !at.IsZero() {
		presentAt = at.UnixMicro()
	}
	_, _, err := l.binding(ctx, "presence", name, backfill.PresenceStale.Microseconds(), presentAt)
	return err
}

// TakeLeave forgets the process and reports whether no other is left.
func (l *Ledger) TakeLeave(ctx context.Context, name string) (last bool, err error) {
	_, living, err := l.binding(ctx, "leave", name)
	return living == 0, err
}

func (l *Ledger) binding(ctx context.Context, args ...any) (b backfill.RedisBinding, living int64, err error) {
	r, err := l.run(ctx, bindingScript, []string{deploymentKey, processesKey()}, args...)
	if err != nil {
		return b, 0, err
	}
	for i, id := range []*uuid.UUID{&b.DeploymentID, &b.ID} {
		if text := r.text(1 + i); text != "" {
			if *id, err = uuid.Parse(text); err != nil {
				return b, 0, fmt.Errorf("read whose Redis this is: %w", err)
			}
		}
	}
	if server := r.text(3); server != "" {
		b.Server = server + "/" + strconv.Itoa(l.database())
	}
	presentAt, err := strconv.ParseInt(r.text(4), 10, 64)
	if err != nil {
		return b, 0, fmt.Errorf("read the last presence: %w", err)
	}
	if presentAt != 0 {
		b.PresentAt, b.PresenceAge = time.UnixMicro(presentAt).UTC(), time.Duration(r.number(5))*time.Microsecond
	}
	return b, r.number(6), nil
}

// database is the number of the database on the server; a cluster has only one.
func (l *Ledger) database() int {
	if client, ok := l.client.(*redis.Client); ok {
		return client.Options().DB
	}
	return 0
}
