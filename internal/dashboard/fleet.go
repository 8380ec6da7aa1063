package dashboard

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"

	"quantbot/internal/backfill"
	"quantbot/internal/clickhouse/report"
)

type fleetHistory interface {
	RunningRuns(ctx context.Context) ([]report.RunningRun, error)
	LastOutcome(ctx context.Context, runID uuid.UUID) (time.Time, error)
	RecentWork(ctx context.Context, within time.Duration) ([]report.RecentWork, error)
}

type fleetLive interface {
	Workers(ctx context.Context) ([]Worker, error)
	QueueDepths(ctx context.Context) ([]QueueDepth, error)
	Budgets(ctx context.Context) ([]Budget, error)
	// Reconciler is what reconcilers did over all runs, and who holds their lease; empty = nobody.
	Reconciler(ctx context.Context) (done map[backfill.RepairAction]int64, holder string, err error)
	ActiveRuns(ctx context.Context) ([]uuid.UUID, error)
	// Waits is what workers, and whoever needs a store, wait for. What cannot be read is an outage among them.
	Waits(ctx context.Context) []backfill.Wait
	// Outages are the stores that refuse, or have not answered for this long.
	Outages(silence time.Duration) []backfill.Wait
}

// Worker is a worker process that has shown lately that it lives.
type Worker struct {
	Name        string    `json:"name"`   // host:pid
	Status      string    `json:"status"` // active or stopped
	Started     time.Time `json:"started"`
	Concurrency int       `json:"concurrency"`
	Busy        int       `json:"busy"`
	// Oldest is since when its longest task has been running; zero when it is idle.
	Oldest time.Time `json:"oldest,omitzero"`
	// Chunks and Candles are what it has done in the last minute.
	Chunks  uint64 `json:"chunks_last_minute"`
	Candles int64  `json:"candles_last_minute"`
}

// QueueDepth is how many tasks a queue holds.
type QueueDepth struct {
	Name      string        `json:"name"`
	Paused    bool          `json:"paused"`
	Latency   time.Duration `json:"latency_ns"`
	Pending   int           `json:"pending"`
	Active    int           `json:"active"`
	Scheduled int           `json:"scheduled"`
	Retry     int           `json:"retry"`
	Archived  int           `json:"archived"`
	Processed int           `json:"processed_today"`
	Failed    int           `json:"failed_today"`
}

// Budget is how fast an account is asked.
type Budget struct {
	Source  string `json:"source"`
	Account string `json:"account"`
	// Used is how many calls a second the source's accounts together answered, on average over the last minute.
	Used float64 `json:"used_per_second"`
	// PerSecond is how fast it may be asked now, Configured how fast when all is well.
	PerSecond   float64   `json:"per_second"`
	Configured  float64   `json:"configured_per_second"`
	Workers     int64     `json:"workers"`
	PausedUntil time.Time `json:"paused_until,omitzero"`
	ParkedUntil time.Time `json:"parked_until,omitzero"`
	// WaitingFor says what the account, or all of its source, waits for.
	WaitingFor []string `json:"waiting_for"`
}

// accountWords are the words that pages have for states, where they differ from the state's name.
var accountWords = map[backfill.AccountState]string{backfill.AccountReady: "ok", backfill.AccountWaiting: "waits"}

// State is the word for what the account does: ok only when nothing holds it up.
func (b Budget) State() string {
	state := b.state()
	return cmp.Or(accountWords[state], string(state))
}

func (b Budget) state() backfill.AccountState {
	switch {
	case !b.ParkedUntil.IsZero():
		return backfill.AccountParked
	case !b.PausedUntil.IsZero():
		return backfill.AccountPaused
	case len(b.WaitingFor) > 0:
		return backfill.AccountWaiting
	}
	return backfill.AccountReady
}

// fleetData is who works, on what, and what stands still.
type fleetData struct {
	Workers []Worker     `json:"workers"`
	Slots   int          `json:"slots"`
	Busy    int          `json:"busy"`
	Queues  []QueueDepth `json:"queues"`
	Budgets []Budget     `json:"budgets"`
	// Waits are what workers wait for, the longest first, and WaitingFor the same in words.
	Waits      []backfill.Wait `json:"waits"`
	WaitingFor []string        `json:"waiting_for"`

	Repairs []repair    `json:"reconciler_actions"`
	Holder  string      `json:"reconciler"`
	Runs    []activeRun `json:"active_runs"`
	Stuck   int         `json:"stuck_runs"`

	Actions []backfill.OperatorAction `json:"actions"`
	// Missing names what could not be read; the rest stands.
	Missing []string `json:"missing,omitempty"`
}

type repair struct {
	Action  backfill.RepairAction `json:"action"`
	Count   int64                 `json:"count"`
	Meaning string                `json:"meaning"`
}

// repairMeanings say in a few words what each action was for.
var repairMeanings = map[backfill.RepairAction]string{
	backfill.RepairOrphan:   "a worker died or stood still: its chunk got a new task",
	backfill.RepairLostTask: "a task was deleted or forgotten: its chunk got a new one",
	backfill.RepairArchived: "the queue had given a task up: its chunk failed",
	backfill.RepairResumed:  "an enqueuer had died: its plan went on",
	backfill.RepairAbandon:  "an enqueuer had died before its plan was whole: the run failed",
	backfill.RepairFinished: "nobody had finished an attempt",
	backfill.RepairRebuilt:  "Redis had lost a run: it was rebuilt from ClickHouse",
	backfill.RepairCancel:   "chunks of a cancelled run had been left pending",
	backfill.RepairHistory:  "ClickHouse had missed a start or a plan",
}

// activeRun is a run that has not ended, and why it may never.
type activeRun struct {
	RunID       uuid.UUID `json:"run_id"`
	StartedAt   time.Time `json:"started_at"`
	Source      string    `json:"source"`
	Progress    *Progress `json:"progress,omitempty"` // nil when Redis does not have the run
	LastOutcome time.Time `json:"last_outcome,omitzero"`
	// Stuck says why it looks stuck; empty = it does not.
	Stuck string `json:"stuck,omitempty"`
}

const (
	mostActiveRuns    = 50
	stuckAfter        = 5 * time.Minute
	actionsShown      = 20
	fleetQuestions    = 8
	fleetAnswerWithin = 2 * time.Second
	recently          = time.Minute
)

func (d *Dashboard) fleetPage() page {
	return page{path: "/fleet", template: "fleet.html", section: "Fleet", load: d.loadFleet}
}

// loadFleet gathers what can be had: a store that is away costs its part of the page, not the page.
func (d *Dashboard) loadFleet(r *http.Request) (content, error) {
	ctx, cancel := context.WithTimeout(r.Context(), fleetAnswerWithin)
	defer cancel()
	data, asked := fleetData{}, d.cfg.Now()
	var work []report.RecentWork
	var problems [7]error
	group := errgroup.Group{}
	group.Go(func() error { data.Workers, problems[0] = d.cfg.Live.Workers(ctx); return nil })
	group.Go(func() error { data.Queues, problems[1] = d.cfg.Live.QueueDepths(ctx); return nil })
	group.Go(func() error { data.Budgets, problems[2] = d.cfg.Live.Budgets(ctx); return nil })
	group.Go(func() error { data.Repairs, data.Holder, problems[3] = d.repairs(ctx); return nil })
	group.Go(func() error { data.Runs, problems[4] = d.activeRuns(ctx); return nil })
	group.Go(func() error {
		data.Actions, problems[5] = d.cfg.History.OperatorActions(ctx, uuid.Nil, actionsShown)
		return nil
	})
	group.Go(func() error { work, problems[6] = d.cfg.History.RecentWork(ctx, recently); return nil })
	group.Go(func() error { data.Waits = d.cfg.Live.Waits(ctx); return nil })
	_ = group.Wait() // each has its own place for an error
	for i, what := range []string{"workers", "queues", "budgets", "the reconciler's actions", "active runs", "actions", "recent work"} {
		if problems[i] != nil {
			d.cfg.Logger.WarnContext(ctx, "fleet not read whole", "part", what, "err", problems[i])
			data.Missing = append(data.Missing, what)
		}
	}
	data.addOutage(backfill.LedgerName, asked, problems[:4])
	data.addOutage(backfill.StoreName, asked, problems[5:])
	data.WaitingFor = backfill.Sentences(data.Waits)
	data.addWork(work)
	for _, w := range data.Workers {
		data.Slots += w.Concurrency
		data.Busy += w.Busy
	}
	for i := range data.Runs {
		data.Runs[i].Stuck = stuck(data.Runs[i], d.cfg.Now())
		if data.Runs[i].Stuck != "" {
			data.Stuck++
		}
	}
	return content{Title: "Fleet", Data: data}, nil
}

// addOutage says that a store gave errors instead of its parts of the page, unless that is said already. Who works is not known
// without Redis.
func (f *fleetData) addOutage(store string, asked time.Time, problems []error) {
	failed := slices.IndexFunc(problems, func(err error) bool { return err != nil })
	if failed < 0 {
		return
	}
	if store == backfill.LedgerName {
		f.Waits = slices.DeleteFunc(f.Waits, func(w backfill.Wait) bool { return w.Reason == backfill.WaitNoWorker })
	}
	if !slices.ContainsFunc(f.Waits, func(w backfill.Wait) bool { return w.On == store }) {
		f.Waits = append(f.Waits, backfill.OutageWait(store, asked, problems[failed]))
	}
}

// addWork adds to workers and sources what they have done lately.
func (f *fleetData) addWork(work []report.RecentWork) {
	for _, done := range work {
		for i := range f.Workers {
			if f.Workers[i].Name == done.Worker {
				f.Workers[i].Chunks += done.Chunks
				f.Workers[i].Candles += done.Candles
			}
		}
		for i := range f.Budgets {
			if f.Budgets[i].Source == done.Source {
				f.Budgets[i].Used += float64(done.APICalls) / recently.Seconds()
			}
		}
	}
}

func (d *Dashboard) repairs(ctx context.Context) ([]repair, string, error) {
	counts, holder, err := d.cfg.Live.Reconciler(ctx)
	list := make([]repair, 0, len(counts))
	for action, n := range counts {
		list = append(list, repair{action, n, repairMeanings[action]})
	}
	slices.SortFunc(list, func(a, b repair) int { return cmp.Compare(a.Action, b.Action) })
	return list, holder, err
}

// activeRuns joins the runs that the history calls running and those that the ledger has, at most 50.
func (d *Dashboard) activeRuns(ctx context.Context) ([]activeRun, error) {
	running, err := d.cfg.History.RunningRuns(ctx)
	if err != nil {
		return nil, err
	}
	ids, err := d.cfg.Live.ActiveRuns(ctx)
	if err != nil {
		return nil, err
	}
	var runs []activeRun
	for _, r := range running {
		runs = append(runs, activeRun{RunID: r.RunID, StartedAt: r.StartedAt, Source: r.Source})
	}
	for _, id := range ids {
		if !slices.ContainsFunc(runs, func(r activeRun) bool { return r.RunID == id }) {
			runs = append(runs, activeRun{RunID: id})
		}
	}
	runs = runs[:min(len(runs), mostActiveRuns)]
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(fleetQuestions)
	for i := range runs {
		group.Go(func() error { return d.lookAt(ctx, &runs[i]) })
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	return slices.DeleteFunc(runs, func(r activeRun) bool { return r.Progress != nil && r.Progress.Ended }), nil
}

func (d *Dashboard) lookAt(ctx context.Context, run *activeRun) (err error) {
	state, err := d.cfg.Live.State(ctx, run.RunID)
	switch {
	case err == nil:
		progress := newProgress(state)
		run.Progress, run.StartedAt, run.Source = &progress, state.Run.Manifest.StartedAt, state.Run.Manifest.Source
		if state.Phase == backfill.PhasePlanning && state.HeartbeatAge > backfill.HeartbeatStale {
			run.Stuck = "its enqueuer has not been heard of for " + formatDuration(state.HeartbeatAge) + ": a worker resumes it"
		}
	case !errors.Is(err, backfill.ErrUnknownRun):
		return fmt.Errorf("look at run %s: %w", run.RunID, err)
	}
	run.LastOutcome, err = d.cfg.History.LastOutcome(ctx, run.RunID)
	return err
}

// stuck says why a run may not end by itself.
func stuck(run activeRun, now time.Time) string {
	last := run.StartedAt
	if run.LastOutcome.After(last) {
		last = run.LastOutcome
	}
	switch {
	case run.Stuck != "":
		return run.Stuck
	case run.Progress == nil:
		return "Redis does not know it: a worker rebuilds it, or runs-resume"
	case len(run.Progress.WaitingFor) > 0:
		return run.Progress.WaitingFor[0]
	case now.Sub(last) > stuckAfter:
		return "no chunk has ended for " + formatDuration(now.Sub(last))
	}
	return ""
}
