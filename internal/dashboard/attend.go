package dashboard

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"quantbot/internal/backfill"
)

const (
	// patience is how long a visitor waits for a store that is known not to answer: pages that can do without it have given it
	// up by then. With silentFor and the pause between two looks at the stores, everybody has an answer within five seconds.
	patience = 3500 * time.Millisecond
	// silentFor is how long a store says nothing before visitors read so; other places, which make nobody wait, say it later.
	silentFor = 2 * time.Second
	lookEvery = 250 * time.Millisecond
	// sameSilence is for how long the watch must hear nothing, too, of a store that a page was given up on.
	sameSilence = 500 * time.Millisecond
	// namedWithin is when the watch, which asks every two seconds, knows at the latest which store that is.
	namedWithin = backfill.WaitEvery + sameSilence + lookEvery
)

// attended is what a question of a visitor came to.
type attended[T any] struct {
	value T
	err   error
	panic any
}

// attend serves a visitor's question, or says which store does not answer instead of waiting for it with the visitor: clients
// of stores do not all heed the end of a context. What is left behind ends by the client's own timeouts.
func attend[T any](d *Dashboard, r *http.Request, ask func(*http.Request) (T, error)) (T, error) {
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	answers := make(chan attended[T], 1)
	d.working.Go(func() {
		var a attended[T]
		defer func() {
			a.panic = recover() // it is the visitor's goroutine that has an error page for it
			answers <- a
		}()
		a.value, a.err = ask(r.WithContext(ctx))
	})
	began := time.NewTimer(patience)
	defer began.Stop()
	look := time.NewTicker(lookEvery)
	defer look.Stop()
	impatient := false
	for {
		select {
		case a := <-answers:
			if a.panic != nil {
				panic(a.panic)
			}
			return a.value, a.err
		case <-began.C:
			impatient = true
		case <-look.C:
		}
		if outages := d.cfg.Live.Outages(silentFor); impatient && len(outages) > 0 {
			var none T
			return none, away(outages)
		}
	}
}

// outagesBehind returns the stores whose outage an error comes from, as far as the watch knows. A client may have given a silent
// store up before the watch knows of the silence, so that is waited for.
func (d *Dashboard) outagesBehind(ctx context.Context, err error) []backfill.Wait {
	outages := d.cfg.Live.Outages(silentFor)
	if !errors.Is(err, context.DeadlineExceeded) && backfill.ReasonOf(err) != backfill.WaitNoAnswer {
		return outages
	}
	ctx, cancel := context.WithTimeout(ctx, namedWithin)
	defer cancel()
	look := time.NewTicker(lookEvery)
	defer look.Stop()
	for len(outages) == 0 {
		select {
		case <-ctx.Done():
			return nil
		case <-look.C:
			outages = d.cfg.Live.Outages(sameSilence)
		}
	}
	return outages
}

// away says to a visitor which stores do not answer, and since when; what they said, and where they are, is for the log.
func away(outages []backfill.Wait) error {
	texts := make([]string, len(outages))
	for i, w := range outages {
		texts[i] = w.Short()
	}
	return &httpError{http.StatusServiceUnavailable, strings.Join(texts, ", and ") + ". Try again in a moment."}
}
