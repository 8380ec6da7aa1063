package backfill

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// Leases keeps the chunks that this process is filling: it shows the ledger that they are in work, and ends the work on
// those that are no longer wanted. A process that dies or stands still loses them, and others take them up.
type Leases struct {
	Ledger LeaseLedger
	Logger *slog.Logger

	mu   sync.Mutex
	held map[Execution]context.CancelCauseFunc
}

// Hold keeps the execution's lease until release is called. The returned context ends with ErrUnwanted as its cause when
// the execution is no longer wanted.
func (l *Leases) Hold(ctx context.Context, e Execution) (held context.Context, release func()) {
	held, cancel := context.WithCancelCause(ctx)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.held == nil {
		l.held = make(map[Execution]context.CancelCauseFunc)
	}
	l.held[e] = cancel
	return held, func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		delete(l.held, e)
		cancel(nil)
	}
}

// Held is how many executions have a lease now.
func (l *Leases) Held() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.held)
}

// Run renews the leases every LeaseRenewal until ctx ends. It must outlive the work that holds them.
func (l *Leases) Run(ctx context.Context) {
	ticker := time.NewTicker(LeaseRenewal)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			l.renew(ctx)
		}
	}
}

// renew bounds the call by the time that a lease lasts: a later answer is of no use.
func (l *Leases) renew(ctx context.Context) {
	executions := l.executions()
	if len(executions) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, LeaseTime)
	defer cancel()
	lost, err := l.Ledger.Renew(ctx, executions)
	if err != nil {
		// The work goes on: it asks once more before it stores anything.
		l.Logger.WarnContext(ctx, "leases not renewed", "chunks", len(executions), "err", err)
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, e := range lost {
		if end, ok := l.held[e]; ok {
			end(ErrUnwanted)
		}
	}
}

func (l *Leases) executions() []Execution {
	l.mu.Lock()
	defer l.mu.Unlock()
	executions := make([]Execution, 0, len(l.held))
	for e := range l.held {
		executions = append(executions, e)
	}
	return executions
}
