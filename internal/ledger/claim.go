package ledger

import (
	"context"
	"time"
)

// Claim gives one holder at a time the right to a duty of this name until the time is over; its holder may renew it.
// Unlike WithLock it does not wait, and the duty must bear that two do it.
func (l *Ledger) Claim(ctx context.Context, duty, holder string, ttl time.Duration) (held bool, err error) {
	r, err := l.run(ctx, leaseScript, []string{"quantbot:lease:" + duty}, holder, ttl.Milliseconds())
	if err != nil {
		return false, err
	}
	return r.status() == "ok", nil
}
