package dashboard

import (
	"context"
	"net/http"
	"slices"
	"sync"
	"time"

	"quantbot/internal/backfill"
	"quantbot/internal/candle"
	"quantbot/internal/config"
)

// sweeping is the sweep that this dashboard runs, or ran last. One runs at a time; it goes on when its visitor leaves.
type sweeping struct {
	mu  sync.Mutex
	now sweepState
}

// sweepState is how far a sweep has come.
type sweepState struct {
	Running   bool                  `json:"running"`
	By        string                `json:"by,omitempty"`
	StartedAt time.Time             `json:"started_at,omitzero"`
	EndedAt   time.Time             `json:"ended_at,omitzero"`
	Done      int                   `json:"slices_done"`
	Slices    int                   `json:"slices"`
	Removed   int64                 `json:"versions_removed"`
	Swept     []backfill.SweptMonth `json:"swept,omitempty"`
	Problem   string                `json:"problem,omitempty"`
}

func (s *sweeping) state() sweepState {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.now
}

func (s *sweeping) change(f func(*sweepState)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f(&s.now)
}

// begin returns false when a sweep is running.
func (s *sweeping) begin(by string, at time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.now.Running {
		return false
	}
	s.now = sweepState{Running: true, By: by, StartedAt: at}
	return true
}

// sweepData is what a sweep would remove, and what the last one did.
type sweepData struct {
	State sweepState `json:"state"`
	// Preview is what would be removed now; nil until somebody asks.
	Preview []backfill.SweptMonth `json:"preview,omitempty"`
	// Redundant and Purged add the preview up.
	Redundant int64  `json:"redundant"`
	Purged    int64  `json:"purged"`
	Window    string `json:"older_than"`

	Interval  string   `json:"-"`
	Intervals []string `json:"-"`
	Asked     bool     `json:"-"`
	Problem   string   `json:"-"`
}

func (d *Dashboard) sweepPage() page {
	return page{path: "/sweep", template: "sweep.html", section: "Fleet", guarded: true, slow: true, load: d.loadSweep}
}

// readSweep reads what to sweep, from an address or a form.
func (d *Dashboard) readSweep(q *query) (backfill.SweepRequest, sweepData) {
	sweep := backfill.SweepRequest{Window: d.cfg.RollbackWindow}
	data := sweepData{Interval: q.oneOf("interval", candle.IntervalNames()...), Window: q.text("older_than"), Intervals: candle.IntervalNames()}
	if data.Interval != "" {
		interval, err := candle.ParseInterval(data.Interval)
		if err != nil {
			q.problem("interval: %v", err)
		}
		sweep.Intervals = []candle.Interval{interval}
	}
	if data.Window != "" {
		window, err := config.ParseDuration(data.Window)
		if err != nil || window < 0 {
			q.problem("older_than must be a duration such as 14d")
		}
		sweep.Window = window
	}
	return sweep, data
}

func (d *Dashboard) loadSweep(r *http.Request) (content, error) {
	q := readQuery(r, d.cfg.Now)
	sweep, data := d.readSweep(q)
	data.Asked = q.oneOf("preview", "yes") == "yes"
	if err := q.err(); err != nil {
		return content{}, err
	}
	data.State = d.sweep.state()
	if data.Asked && !data.State.Running {
		sweep.DryRun, sweep.By = true, d.visitor(r).name
		var err error
		if data.Preview, err = d.previewSweep(r.Context(), sweep); err != nil {
			return content{}, err
		}
	}
	for _, m := range data.Preview {
		data.Redundant += m.Redundant
		data.Purged += m.Purged
	}
	return content{Title: "Sweep", Data: data}, nil
}

func (d *Dashboard) previewSweep(ctx context.Context, sweep backfill.SweepRequest) ([]backfill.SweptMonth, error) {
	ctx, cancel := context.WithTimeout(ctx, previewTimeout)
	defer cancel()
	select {
	case d.previews <- struct{}{}:
		defer func() { <-d.previews }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	found, err := d.cfg.Actions.Sweep(ctx, sweep)
	return slices.DeleteFunc(found, func(m backfill.SweptMonth) bool { return m.Redundant+m.Purged == 0 }), err
}

// startSweep is POST /sweep: it looks again, because what is redundant is found anew, slice by slice.
func (d *Dashboard) startSweep(w http.ResponseWriter, r *http.Request) {
	if err := r.ParseForm(); err != nil {
		d.fail(w, r, badRequest("The form could not be read: it is malformed or too large."))
		return
	}
	q := &query{values: r.PostForm, now: d.cfg.Now}
	sweep, _ := d.readSweep(q)
	if err := q.err(); err != nil {
		d.fail(w, r, err)
		return
	}
	sweep.By = d.visitor(r).name
	if !d.sweep.begin(sweep.By, d.cfg.Now().UTC()) {
		d.fail(w, r, &httpError{http.StatusConflict, "A sweep is running already."})
		return
	}
	r = r.Clone(context.WithoutCancel(r.Context()))
	d.working.Go(func() { d.runSweep(r, sweep) })
	if wantsJSON(r) {
		d.writeJSON(w, r, http.StatusAccepted, map[string]string{"action": "sweep", "result": backfill.ActionStarted})
		return
	}
	http.Redirect(w, r, "/sweep", http.StatusSeeOther)
}

// scope is what is swept, for the record.
func scope(sweep backfill.SweepRequest) string {
	what := "all intervals"
	if len(sweep.Intervals) > 0 {
		what = "interval " + sweep.Intervals[0].String()
	}
	return what + ", runs older than " + sweep.Window.String()
}

// runSweep sweeps until it is done or the dashboard ends; broken off, it has done a part, and the next one goes on.
func (d *Dashboard) runSweep(r *http.Request, sweep backfill.SweepRequest) {
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	defer context.AfterFunc(d.streaming, cancel)()
	sweep.OnSlice = func(p backfill.SweepProgress) {
		d.sweep.change(func(s *sweepState) { s.Done, s.Slices, s.Removed = p.Done, p.Slices, p.Removed })
	}
	var swept []backfill.SweptMonth
	err := d.recorded(ctx, r, backfill.OperatorAction{Action: "sweep", Detail: scope(sweep)}, func(ctx context.Context, _ string) (detail string, err error) {
		swept, err = d.cfg.Actions.Sweep(ctx, sweep)
		var redundant, purged int64
		for _, m := range swept {
			redundant, purged = redundant+m.Redundant, purged+m.Purged
		}
		return scope(sweep) + ": " + formatCount(redundant) + " redundant versions and " + formatCount(purged) + " of purged runs removed", err
	})
	if err != nil {
		d.cfg.Logger.ErrorContext(ctx, "sweep failed", "err", err)
	}
	d.sweep.change(func(s *sweepState) {
		s.Running, s.EndedAt, s.Swept = false, d.cfg.Now().UTC(), slices.DeleteFunc(swept, func(m backfill.SweptMonth) bool { return m.Redundant+m.Purged == 0 })
		if err != nil {
			_, s.Problem, _ = forVisitors(err)
		}
	})
}
