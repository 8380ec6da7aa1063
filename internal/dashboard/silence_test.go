package dashboard

import (
	"context"
	"errors"
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

// A client gives a silent store up before the watch knows of the silence: the visitor waits for the name, but not for ever, and
// with other errors not at all.
func TestASilenceWaitsForItsName(t *testing.T) {
	t.Parallel()
	class := func(reason backfill.WaitReason) error {
		return &backfill.ClassError{Class: backfill.ClassStore, Reason: reason, Err: errors.New("i/o timeout")}
	}
	for name, test := range map[string]struct {
		err           error
		since, takes  time.Duration
		named, leaves bool
	}{
		"named later": {err: class(backfill.WaitNoAnswer), since: 2 * time.Second, takes: 2*time.Second + sameSilence, named: true},
		"deadline":    {err: context.DeadlineExceeded, since: 2 * time.Second, takes: 2*time.Second + sameSilence, named: true},
		"named now":   {err: class(backfill.WaitNoAnswer), since: -silentFor, named: true},
		"never named": {err: class(backfill.WaitNoAnswer), since: time.Hour, takes: namedWithin},
		"left":        {err: class(backfill.WaitNoAnswer), since: time.Hour, takes: time.Second, leaves: true},
		"a refusal":   {err: class(backfill.WaitDisk), since: time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				ctx, leave := context.WithCancel(t.Context())
				defer leave()
				if test.leaves {
					time.AfterFunc(time.Second, leave)
				}
				began := time.Now()
				d := &Dashboard{cfg: Config{Live: watchedLive{since: began.Add(test.since)}}}
				require.Equal(t, test.named, len(d.outagesBehind(ctx, test.err)) > 0)
				require.Equal(t, test.takes, time.Since(began), "of the bubble's clock")
			})
		})
	}
}
