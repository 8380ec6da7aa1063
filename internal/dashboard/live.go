package dashboard

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/google/uuid"

	"quantbot/internal/backfill"
	"quantbot/internal/publicjson"
)

const (
	pollEvery = 500 * time.Millisecond
	// pollTimeout bounds a question to Redis.
	pollTimeout = 2 * time.Second
	// mostWatched and mostViewers bound what visitors can make the dashboard do.
	mostWatched = 100
	mostViewers = 500
	// streamBeat keeps proxies from closing a stream on which nothing happens.
	streamBeat = 15 * time.Second
	// streamWrite bounds a write to a viewer that does not read.
	streamWrite = 10 * time.Second
)

var errTooManyViewers = &httpError{http.StatusServiceUnavailable, "Too many pages are following runs; this one shows the state as it was."}

// hub feeds all viewers from one poller, which asks Redis once a tick for each run that somebody watches.
type hub struct {
	state  func(context.Context, uuid.UUID) (backfill.LedgerState, error)
	now    func() time.Time
	logger *slog.Logger
	every  time.Duration

	mu      sync.Mutex
	watched map[uuid.UUID]*watched
	viewers int
	polling bool
}

// watched is a run that somebody watches.
type watched struct {
	viewers map[chan Progress]struct{}
	meter   backfill.PaceMeter
	last    *Progress
}

// watch calls until stop is called; the channel has the latest progress and never more than one. poll is set for the
// first viewer of all: the caller runs it.
func (h *hub) watch(runID uuid.UUID) (updates chan Progress, stop func(), startPolling bool, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	run, ok := h.watched[runID]
	if h.viewers >= mostViewers || (!ok && len(h.watched) >= mostWatched) {
		return nil, nil, false, errTooManyViewers
	}
	if !ok {
		run = &watched{viewers: make(map[chan Progress]struct{})}
		h.watched[runID] = run
	}
	updates = make(chan Progress, 1)
	if run.last != nil {
		updates <- *run.last
	}
	run.viewers[updates] = struct{}{}
	h.viewers++
	startPolling = !h.polling
	h.polling = true
	return updates, func() { h.leave(runID, updates) }, startPolling, nil
}

func (h *hub) leave(runID uuid.UUID, updates chan Progress) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.viewers--
	run := h.watched[runID]
	delete(run.viewers, updates)
	if len(run.viewers) == 0 {
		delete(h.watched, runID)
	}
}

// poll goes on until nobody watches any more or ctx ends.
func (h *hub) poll(ctx context.Context) {
	ticker := time.NewTicker(h.every)
	defer ticker.Stop()
	for {
		for _, runID := range h.wanted() {
			h.ask(ctx, runID)
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		if h.idle() {
			return
		}
	}
}

func (h *hub) wanted() []uuid.UUID {
	h.mu.Lock()
	defer h.mu.Unlock()
	ids := make([]uuid.UUID, 0, len(h.watched))
	for id := range h.watched {
		ids = append(ids, id)
	}
	return ids
}

// idle ends polling in the same step in which it sees that nobody watches, so that the next viewer starts it again.
func (h *hub) idle() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.polling = len(h.watched) > 0
	return !h.polling
}

func (h *hub) ask(ctx context.Context, runID uuid.UUID) {
	ctx, cancel := context.WithTimeout(ctx, pollTimeout)
	defer cancel()
	state, err := h.state(ctx, runID)
	progress := newProgress(state)
	switch {
	case errors.Is(err, backfill.ErrUnknownRun):
		progress = Progress{RunID: runID, Ended: true} // archived, or lost: the page says which
	case err != nil:
		if ctx.Err() == nil {
			h.logger.WarnContext(ctx, "progress not read", "run_id", runID, "err", err)
		}
		return // the next tick asks again
	}
	h.publish(runID, progress)
}

func (h *hub) publish(runID uuid.UUID, progress Progress) {
	h.mu.Lock()
	defer h.mu.Unlock()
	run, ok := h.watched[runID]
	if !ok {
		return
	}
	progress.addPace(run.meter.Add(backfill.ProgressReading{At: h.now(), Done: progress.Done, Candles: progress.Inserted}, int64(progress.Chunks)))
	run.last = &progress
	for viewer := range run.viewers {
		select { // what a slow viewer has not read yet is replaced
		case <-viewer:
		default:
		}
		viewer <- progress
	}
}

// streamProgress is GET /api/runs/{id}/events: server-sent events "progress", and "end" when the run is over.
func (d *Dashboard) streamProgress(w http.ResponseWriter, r *http.Request) {
	runID, err := uuid.Parse(r.PathValue("id"))
	if err != nil {
		d.fail(w, r, notFound("There is no such run."))
		return
	}
	_, err = attend(d, r, func(r *http.Request) (backfill.LedgerState, error) { return d.cfg.Live.State(r.Context(), runID) })
	if err != nil {
		d.fail(w, r, err)
		return
	}
	updates, leave, startPolling, err := d.hub.watch(runID)
	if err != nil {
		w.Header().Set("Retry-After", "30")
		d.fail(w, r, err)
		return
	}
	defer leave()
	if startPolling {
		d.working.Go(func() { d.hub.poll(d.streaming) })
	}
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("X-Accel-Buffering", "no") // proxies would hold events back
	s := stream{w: w, control: http.NewResponseController(w), now: d.cfg.Now}
	if err := s.begin(); err != nil {
		return // the viewer has left
	}
	beat := time.NewTicker(streamBeat)
	defer beat.Stop()
	for err == nil {
		select {
		case <-r.Context().Done():
			return
		case <-d.streaming.Done():
			return
		case <-beat.C:
			err = s.write(": still here\n\n")
		case progress := <-updates:
			err = s.event("progress", progress)
			if progress.Ended {
				_ = s.event("end", progress) // the stream ends in any case
				return
			}
		}
	}
}

// stream writes events, each with a deadline of its own: the server's would end the stream.
type stream struct {
	w       http.ResponseWriter
	control *http.ResponseController
	now     func() time.Time
}

func (s stream) begin() error {
	if err := s.control.SetReadDeadline(time.Time{}); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return err
	}
	s.w.WriteHeader(http.StatusOK)
	return s.write("retry: 2000\n\n")
}

func (s stream) event(name string, data any) error {
	encoded, err := publicjson.Marshal(data)
	if err != nil {
		return err
	}
	return s.write(fmt.Sprintf("event: %s\ndata: %s\n\n", name, encoded))
}

func (s stream) write(text string) error {
	if err := s.control.SetWriteDeadline(s.now().Add(streamWrite)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return err
	}
	if _, err := s.w.Write([]byte(text)); err != nil {
		return err
	}
	return s.control.Flush()
}
