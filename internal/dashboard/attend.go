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
	// silentFor is how long a store says nothing before visitors are told so; other places, which make nobody wait, say it later.
	silentFor = 2 * time.Second
	lookEvery = 250 * time.Millisecond
	// sameSilence is for how long the watch must hear nothing, too, of a store that a visitor's question was given up on.
	sameSilence = 500 * time.Millisecond
	// namedWithin is when the watch knows at the latest which store it is: it asks every two seconds, the rest is for a busy machine.
	namedWithin = backfill.WaitEvery + silentFor + lookEvery
)

// attended is what a question of a visitor came to.
type attended[T any] struct {
	value T
	err   error
	panic any
}

// attend answers a visitor's question, or says which store does not answer instead of waiting for it with the visitor: clients
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
	unnamed := time.NewTimer(namedWithin)
	defer unnamed.Stop()
	var none T
	var silence error // of a store that was given up on before the watch could name it
	impatient, due, enough := false, false, silentFor
	for {
		select {
		case a := <-answers:
			if a.panic != nil {
				panic(a.panic)
			}
			if !isSilence(a.err) {
				return a.value, a.err
			}
			silence, impatient, enough = a.err, true, sameSilence
		case <-began.C:
			impatient = true
		case <-unnamed.C:
			due = true
		case <-look.C:
		}
		if outages := d.cfg.Live.Outages(enough); impatient && len(outages) > 0 {
			return none, away(outages)
		}
		if silence != nil && due {
			return none, silence
		}
	}
}

// isSilence tells whether a store was given up on because it returned nothing in time.
func isSilence(err error) bool {
	return errors.Is(err, context.DeadlineExceeded) || backfill.ReasonOf(err) == backfill.WaitNoAnswer
}

// away says to a visitor which stores do not answer, and since when; what they said, and where they are, is for the log.
func away(outages []backfill.Wait) error {
	texts := make([]string, len(outages))
	for i, w := range outages {
		texts[i] = w.Short()
	}
	return &httpError{http.StatusServiceUnavailable, strings.Join(texts, ", and ") + ". Try again in a moment."}
}
