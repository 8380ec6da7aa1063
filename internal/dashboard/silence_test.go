package dashboard

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"quantbot/internal/backfill"
)

// watchedLive hears nothing from Redis since a moment.
type watchedLive struct {
	Live

	since time.Time
}

func (l watchedLive) Outages(silence time.Duration) []backfill.Wait {
	if time.Since(l.since) < silence {
		return nil
	}
	return []backfill.Wait{{On: backfill.LedgerName, Reason: backfill.WaitNoAnswer, Since: l.since}}
}

// A client gives a silent store up before the watch has named it: the visitor waits for the name, but not for ever, and other
// errors do not wait.
func TestASilenceWaitsForItsName(t *testing.T) {
	t.Parallel()
	silence := fmt.Errorf("run script state: %w", &backfill.ClassError{Class: backfill.ClassStore, Reason: backfill.WaitNoAnswer, Err: errors.New("i/o timeout")})
	for name, tc := range map[string]struct {
		err    error
		since  time.Duration
		within time.Duration
		says   string
	}{
		"named later":       {silence, 2 * time.Second, 2*time.Second + sameSilence, "no answer from redis since "},
		"deadline":          {context.DeadlineExceeded, 2 * time.Second, 2*time.Second + sameSilence, "no answer from redis since "},
		"never named":       {silence, time.Hour, namedWithin, "i/o timeout"},
		"known to visitors": {notFound("There is no such token."), time.Hour, time.Second, "There is no such token."},
		"refused":           {&backfill.ClassError{Class: backfill.ClassStore, Reason: backfill.WaitDisk, Err: errors.New("no space")}, time.Hour, time.Second, "no space"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				began := time.Now()
				d := &Dashboard{cfg: Config{Live: watchedLive{since: began.Add(tc.since)}}}
				defer d.working.Wait()
				_, err := attend(d, httptest.NewRequest(http.MethodGet, "/", nil), func(*http.Request) (int, error) {
					time.Sleep(time.Second) // of the bubble's clock
					return 0, tc.err
				})
				require.ErrorContains(t, err, tc.says)
				require.LessOrEqual(t, time.Since(began), tc.within)
			})
		})
	}
}
