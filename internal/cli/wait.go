package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

	"quantbot/internal/alert"
	"quantbot/internal/backfill"
	"quantbot/internal/source/register"
	"quantbot/internal/wiring"
)

const (
	watchEvery = 250 * time.Millisecond
	// lonelyAfter is how long a run waits without any worker before --wait says so.
	lonelyAfter = 10 * time.Second
	// historyPatience is how long the end of a run may take to reach the history before the ledger's record is shown.
	historyPatience = 5 * time.Second
)

// wait shows progress until the run has ended, prints its row, and returns the exit code of a failed run.
func (a *app) wait(ctx context.Context, stores *wiring.Stores, run backfill.Run, format string) (backfill.RunRecord, error) {
	record, err := a.watch(ctx, stores, run.ID())
	if ctx.Err() != nil {
		return record, &exitError{exitInterrupted, a.interrupted(run.ID())}
	}
	if err != nil {
		return record, err
	}
	if err := a.printEnd(ctx, stores, record, format); err != nil {
		return record, err
	}
	if record.Status == backfill.StatusCompleted {
		return record, nil
	}
	return record, &exitError{exitRunFailed, errors.New(strings.TrimSuffix(fmt.Sprintf("run %s %s: %s", run.ID(), record.Status, record.ErrorMessage), ": "))}
}

// interrupted says what becomes of a run that nobody waits for any more.
func (a *app) interrupted(runID uuid.UUID) error {
	if a.localDir != "" {
		return fmt.Errorf("interrupted; go on with run %[1]s: %[2]s runs-watch %[1]s, or end it with %[2]s runs-cancel %[1]s", runID, a.command("ohlcv"))
	}
	return fmt.Errorf("interrupted; run %s goes on: watch it with %s ohlcv runs-watch %s, or end it with runs-cancel", runID, programName(), runID)
}

// watch polls the ledger until the run has a result. A run that the ledger does not have, or no longer has, is looked up
// in the history.
func (a *app) watch(ctx context.Context, stores *wiring.Stores, runID uuid.UUID) (backfill.RunRecord, error) {
	show := a.newProgress()
	defer show.clear()
	defer a.keepDeployment(ctx, stores)()
	defer stores.Fleet.Watch(ctx, a.now)()
	ticker := time.NewTicker(watchEvery)
	defer ticker.Stop()
	began := a.now()
	var unread time.Time // since when the ledger cannot be read
	for {
		state, err := a.stateOf(ctx, stores, runID)
		if err == nil {
			unread = time.Time{}
		} else if unread.IsZero() {
			unread = a.now()
		}
		switch {
		case errors.Is(err, backfill.ErrUnknownRun):
			record, err := stores.History.Run(ctx, runID)
			if err != nil {
				return record, fmt.Errorf("look up run %s: %w", runID, err)
			}
			if record.Status != backfill.StatusRunning {
				return record, nil
			}
		case err != nil && ctx.Err() == nil && backfill.ClassOf(err) != backfill.ClassStore:
			return backfill.RunRecord{}, fmt.Errorf("read run %s: %w", runID, err) // waiting does not help
		case err != nil && ctx.Err() == nil:
			a.mentionOutages(stores, show, unread, err)
		case err == nil && state.Result != nil:
			show.update(state)
			return *state.Result, nil
		case err == nil:
			show.update(state)
			a.mentionWaits(ctx, stores, show, state, began)
			a.mentionRejected(show, state)
			show.mentionStranger(stores.Deployment.Err())
		}
		select {
		case <-ctx.Done():
			return backfill.RunRecord{}, ctx.Err()
		case <-ticker.C:
		}
	}
}

// stateWithin bounds one look at the ledger: one that hangs is an outage, which the watch on the stores reports.
const stateWithin = 2 * time.Second

func (a *app) stateOf(ctx context.Context, stores *wiring.Stores, runID uuid.UUID) (backfill.LedgerState, error) {
	ctx, cancel := context.WithTimeout(ctx, stateWithin)
	defer cancel()
	return stores.Ledger.State(ctx, runID)
}

// mentionOutages says which stores do not answer while the ledger cannot be read; where the watch on them finds nothing wrong, what
// the ledger says.
func (a *app) mentionOutages(stores *wiring.Stores, show *progress, unread time.Time, err error) {
	if a.now().Sub(show.lookedForWaits) < waitsEvery {
		return
	}
	show.lookedForWaits = a.now()
	outages := stores.Fleet.Outages(backfill.SilentAfter)
	if len(outages) == 0 && a.now().Sub(unread) >= backfill.SilentAfter {
		outages = []backfill.Wait{backfill.OutageWait(backfill.LedgerName, unread, err)}
	}
	if len(outages) > 0 {
		show.mentionWaits(outages)
	}
}

// keepDeployment shows that Redis and ClickHouse are in use together, until the returned function is called.
func (a *app) keepDeployment(ctx context.Context, stores *wiring.Stores) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	var keeping sync.WaitGroup
	keeping.Go(func() { stores.Deployment.Run(ctx) })
	return func() { cancel(); keeping.Wait() }
}

// mentionStranger says once that Redis and ClickHouse do not belong together any more: what is waited for happens in another pair of them.
func (p *progress) mentionStranger(err error) {
	if err == nil || p.strange {
		return
	}
	p.strange = true
	p.note(err.Error())
}

// mentionWaits says what the run waits for when that changes, each minute while it lasts, and when it goes on. That no
// worker is there is said after a moment: workers may be about to start.
func (a *app) mentionWaits(ctx context.Context, stores *wiring.Stores, show *progress, state backfill.LedgerState, began time.Time) {
	if a.now().Sub(show.lookedForWaits) < waitsEvery {
		return
	}
	show.lookedForWaits = a.now()
	waits := stores.Fleet.WaitsOf(ctx, state, a.now())
	if a.now().Sub(began) < lonelyAfter {
		waits = slices.DeleteFunc(slices.Clone(waits), func(w backfill.Wait) bool { return w.Reason == backfill.WaitNoWorker })
	}
	show.mentionWaits(waits)
}

// waitsEvery is the pause between two looks at what a run waits for.
const waitsEvery = time.Second

// mentionWaits says what is new about the waits.
func (p *progress) mentionWaits(waits []backfill.Wait) {
	said := make(map[string]time.Time, len(waits))
	for _, w := range waits {
		key := w.On + " " + string(w.Reason)
		if last, before := p.waits[key]; before && p.now().Sub(last) < sayAgainAfter {
			said[key] = last
			continue
		}
		said[key] = p.now()
		p.note("waiting: " + w.String())
	}
	if len(waits) == 0 && len(p.waits) > 0 {
		p.note("the run goes on")
	}
	p.waits = said
}

// sayAgainAfter is when a wait that lasts is mentioned again.
const sayAgainAfter = time.Minute

// printEnd prints the run's row, from the history once it is there, else from the ledger's record (R7).
func (a *app) printEnd(ctx context.Context, stores *wiring.Stores, record backfill.RunRecord, format string) error {
	row, err := backfill.NewRunRow(record)
	if err != nil {
		return err
	}
	deadline := a.now().Add(historyPatience)
	for {
		stored, err := stores.History.RunDetails(ctx, record.ID())
		if err == nil && stored.Status != string(backfill.StatusRunning) {
			row = stored
			break
		}
		if a.now().After(deadline) {
			a.logger().WarnContext(ctx, "run's row not in the history yet, it will be written later", "run_id", record.ID(), "err", err)
			break
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(watchEvery):
		}
	}
	defer a.printAdvice(row)
	if format == "json" {
		return a.printJSON(row)
	}
	a.printRun(row)
	return nil
}

// printAdvice says what to do after a run that ended badly: the same as the webhook does.
func (a *app) printAdvice(row backfill.RunRow) {
	if text := a.rejectionWarning(row.RunID, row.CandlesRejected, row.CandlesFetched); text != "" {
		fmt.Fprintln(a.stderr, text)
	}
	if row.Status == string(backfill.StatusFailed) {
		next := "Next: " + a.command(alert.RunFacts{ID: row.RunID, Status: row.Status, Error: row.ErrorMessage}.Next())
		if width := terminalWidth(a.screen); width > 0 && len(next) > width { // one line, so that it can be copied
			next = strings.Replace(next, row.RunID.String(), row.RunID.String()[:shortRunID], 1)
		}
		fmt.Fprintln(a.stderr, next)
	}
}

// rejectionWarning says that many of a run's candles were rejected, from the share on from which alerts call a run faulty; empty =
// they were not.
func (a *app) rejectionWarning(runID uuid.UUID, rejected, fetched int64) string {
	cfg, err := register.LoadConfig(a.getenv)
	if err != nil || rejected == 0 || float64(rejected) < cfg.Alerts.ErrorRate*float64(fetched) {
		return ""
	}
	return fmt.Sprintf("warning: %.1f %% of the candles were rejected (%d of %d): look at the rules that they broke with %s",
		float64(rejected)*100/float64(fetched), rejected, fetched, a.command("ohlcv runs-details "+runID.String()))
}

// mentionRejected warns once while the run runs, when enough candles have come for a share to mean something.
func (a *app) mentionRejected(show *progress, state backfill.LedgerState) {
	if show.warned || state.Progress.Fetched < manyCandles {
		return
	}
	if text := a.rejectionWarning(state.Run.ID(), state.Progress.Rejected, state.Progress.Fetched); text != "" {
		show.warned = true
		show.note(text)
	}
}

// manyCandles is from how many candles on the share of rejected ones is warned of while a run runs, as a run halts.
const manyCandles = 1000
