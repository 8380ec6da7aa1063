package backfill

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"
)

// WaitEvery is how often a worker shows what it waits for.
const WaitEvery = 2 * time.Second

// Questions follows what is asked of one service: since when something is open and nothing was answered. The zero value is
// ready.
type Questions struct {
	mu   sync.Mutex
	open int
	// quiet is since when nothing was answered, gaveUp when a question was last given up without an answer.
	quiet, gaveUp time.Time
}

// askAgainWithin is how soon after a question that was given up the next one belongs to the same silence: it outlasts the
// pauses between two tries.
const askAgainWithin = time.Minute

// Ask notes that something was asked; back that it has been answered, whatever the answer was, or given up.
func (q *Questions) Ask(now func() time.Time) (back func(answered bool)) {
	q.mu.Lock()
	defer q.mu.Unlock()
	asked := now()
	if q.open++; q.open == 1 && (q.gaveUp.IsZero() || asked.Sub(q.gaveUp) > askAgainWithin) {
		q.quiet = asked
	}
	return func(answered bool) {
		q.mu.Lock()
		defer q.mu.Unlock()
		q.open--
		if q.gaveUp = now(); answered {
			q.quiet, q.gaveUp = q.gaveUp, time.Time{}
		}
	}
}

// SilentSince returns the earlier of the moment and the beginning of a silence that still lasted then.
func (q *Questions) SilentSince(moment time.Time) time.Time {
	q.mu.Lock()
	defer q.mu.Unlock()
	if !q.gaveUp.IsZero() && q.quiet.Before(moment) {
		return q.quiet
	}
	return moment
}

// Silent is the wait for a service that was asked and says nothing, from SilentAfter on.
func (q *Questions) Silent(on string, now time.Time) (wait Wait, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.open == 0 || now.Sub(q.quiet) < SilentAfter {
		return Wait{}, false
	}
	return Wait{On: on, Reason: WaitNoAnswer, Since: q.quiet}, true
}

// Waits shows in the ledger what this process waits for: for each run that it has chunks of, and over all of them. A nil
// Waits shows nothing.
type Waits struct {
	Ledger WaitLedger
	// Store reports whether the store of candles keeps chunks waiting, Source whether a source does.
	Store  func() (Wait, bool)
	Source func(name string) (Wait, bool)
	// Worker is this process in the ledger.
	Worker string
	Logger *slog.Logger
	Now    func() time.Time

	mu sync.Mutex
	// inHand counts the chunks that this process has of each run, asking those that ask a source. asked is when the last of
	// them came back, until that is long ago.
	inHand map[uuid.UUID]int
	asking map[question]int
	asked  map[question]time.Time
	// left are the runs whose chunks this process leaves to others.
	left map[uuid.UUID]*leftRun
	// shown are the runs whose waits are in the ledger; uuid.Nil stands for this process.
	shown map[uuid.UUID]bool
}

// question is that chunks of a run ask a source.
type question struct {
	runID  uuid.UUID
	source string
}

// leftFor is how long a run counts as left alone after one of its chunks was: that comes by again after about 20 seconds.
const leftFor = 45 * time.Second

// leftRun is a run whose chunks are left alone.
type leftRun struct {
	wait Wait
	last time.Time
}

// Leave notes that this process has left a chunk of the run to others, and why.
func (w *Waits) Leave(runID uuid.UUID, why error) {
	if w == nil {
		return
	}
	now := w.Now()
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.left == nil {
		w.left = make(map[uuid.UUID]*leftRun)
	}
	if w.left[runID] == nil {
		w.left[runID] = &leftRun{wait: Wait{On: "worker", Reason: WaitForeign, Since: now}}
	}
	w.left[runID].wait.Detail, w.left[runID].last = WaitDetail(why), now
}

// leftAlone are the runs that are left to others at the moment. The lock must be held.
func (w *Waits) leftAlone() map[uuid.UUID][]Wait {
	waits := make(map[uuid.UUID][]Wait, len(w.left))
	for runID, left := range w.left {
		if w.Now().Sub(left.last) > leftFor {
			delete(w.left, runID)
			continue
		}
		waits[runID] = []Wait{left.wait}
	}
	return waits
}

// hold notes that a chunk of the run is in hand until release is called.
func (w *Waits) hold(runID uuid.UUID) (release func()) {
	if w == nil {
		return func() {}
	}
	return count(&w.mu, &w.inHand, runID)
}

// comesAgainWithin is how soon a chunk is taken up again that met a source that is down: asynq looks every five seconds.
const comesAgainWithin = 10 * time.Second

// ask notes that a chunk of the run asks a source until answered is called. It still waits for a source that is down until
// it is taken up again.
func (w *Waits) ask(runID uuid.UUID, source string) (answered func()) {
	if w == nil {
		return func() {}
	}
	q := question{runID, source}
	back := count(&w.mu, &w.asking, q)
	return func() {
		back()
		w.mu.Lock()
		defer w.mu.Unlock()
		if w.asked == nil {
			w.asked = make(map[question]time.Time)
		}
		w.asked[q] = w.Now()
	}
}

// askers are the questions that are open or will soon be asked again. The caller holds mu.
func (w *Waits) askers() []question {
	now := w.Now()
	maps.DeleteFunc(w.asked, func(_ question, at time.Time) bool { return now.Sub(at) > comesAgainWithin })
	askers := slices.Collect(maps.Keys(w.asking))
	for q := range w.asked {
		if w.asking[q] == 0 {
			askers = append(askers, q)
		}
	}
	return askers
}

// count adds one until back is called; what is zero is left out.
func count[K comparable](mu *sync.Mutex, counts *map[K]int, key K) (back func()) {
	mu.Lock()
	defer mu.Unlock()
	if *counts == nil {
		*counts = make(map[K]int)
	}
	(*counts)[key]++
	return func() {
		mu.Lock()
		defer mu.Unlock()
		if (*counts)[key]--; (*counts)[key] == 0 {
			delete(*counts, key)
		}
	}
}

// Run shows the waits until ctx ends, and takes them back then.
func (w *Waits) Run(ctx context.Context) {
	ticker := time.NewTicker(WaitEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), WaitEvery)
			defer cancel()
			w.write(ctx, nil)
			return
		case <-ticker.C:
			w.Show(ctx)
		}
	}
}

// Show shows what is waited for now. With nothing to wait for, and nothing shown before, it asks the ledger nothing.
func (w *Waits) Show(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, WaitEvery)
	defer cancel()
	w.write(ctx, w.current())
}

// Current are the waits of this process, whichever runs they are about.
func (w *Waits) Current() []Wait { return w.current()[uuid.Nil] }

// current are the waits of each run, and under uuid.Nil those of this process.
func (w *Waits) current() map[uuid.UUID][]Wait {
	w.mu.Lock()
	inHand, asking := slices.Collect(maps.Keys(w.inHand)), w.askers()
	waits := w.leftAlone()
	w.mu.Unlock()
	if wait, ok := w.Store(); ok {
		for _, runID := range append(inHand, uuid.Nil) {
			waits[runID] = append(waits[runID], wait)
		}
	}
	for _, q := range asking {
		wait, ok := w.Source(q.source)
		if !ok {
			continue
		}
		waits[q.runID] = append(waits[q.runID], wait)
		if !slices.ContainsFunc(waits[uuid.Nil], func(shown Wait) bool { return shown.On == q.source }) {
			waits[uuid.Nil] = append(waits[uuid.Nil], wait)
		}
	}
	return waits
}

// write shows the waits and takes back those of runs that go on.
func (w *Waits) write(ctx context.Context, waits map[uuid.UUID][]Wait) {
	w.mu.Lock()
	before := w.shown
	w.shown = make(map[uuid.UUID]bool, len(waits))
	for runID := range waits {
		w.shown[runID] = true
	}
	w.mu.Unlock()
	for runID := range before {
		if _, still := waits[runID]; !still {
			w.show(ctx, runID, nil)
		}
	}
	for runID, some := range waits {
		w.show(ctx, runID, some)
	}
}

// show is for people to see: what cannot be shown is shown again soon, or goes by itself.
func (w *Waits) show(ctx context.Context, runID uuid.UUID, waits []Wait) {
	if err := w.Ledger.ShowWaits(ctx, runID, w.Worker, w.Now(), waits); err != nil && ctx.Err() == nil {
		w.Logger.WarnContext(ctx, "not shown in the ledger what chunks wait for", "run_id", runID, "err", err)
	}
}
