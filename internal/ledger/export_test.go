package ledger

import "time"

// WithLockTime is the ledger with locks that last for another time.
func (l *Ledger) WithLockTime(d time.Duration) *Ledger {
	l.lockTime = d
	return l
}
