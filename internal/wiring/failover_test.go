package wiring_test

import (
	"context"
	"iter"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"quantbot/internal/backfill"
	"quantbot/internal/candle"
	"quantbot/internal/clickhouse/clickhousetest"
	"quantbot/internal/local/localtest"
)

// accident is a source during whose nth answer something happens, once.
type accident struct {
	backfill.Source
	mu      sync.Mutex
	left    int
	happens func()
}

func (a *accident) Candles(ctx context.Context, token candle.Token, interval candle.Interval, r candle.Range) iter.Seq2[backfill.Page, error] {
	a.mu.Lock()
	a.left--
	if a.left == 0 {
		a.happens()
	}
	a.mu.Unlock()
	return a.Source.Candles(ctx, token, interval, r)
}

// onRedis is a harness whose Redis is at the URL.
func onRedis(t *testing.T, url string) *harness {
	t.Helper()
	env := clickhousetest.New(t)
	env.RedisURL = url
	return setupOn(t, env)
}

// goesOn lets a worker work through a run during which the primary of Redis goes away, and returns the run's row and how long
// nothing was recorded. The reconciler looks often, and finds leases expired, for the test's sake.
func (w *harness) goesOn(t *testing.T, run backfill.Run, lose func()) (record backfill.RunRecord, stood time.Duration) {
	t.Helper()
	var before int64
	lost := make(chan time.Time, 1)
	w.through = &accident{Source: w.source, left: 20, happens: func() {
		state, err := w.Ledger.State(t.Context(), run.ID())
		if err == nil {
			before = state.Progress.Succeeded
		}
		lose()
		lost <- time.Now()
	}}
	w.workUntil(t, func() {
		since := <-lost
		require.Eventually(t, func() bool {
			state, err := w.Ledger.State(t.Context(), run.ID())
			return err == nil && state.Progress.Succeeded > before+2 // two were in hand and may have been recorded by then
		}, time.Minute, 20*time.Millisecond)
		stood = time.Since(since)
		require.Eventually(t, func() bool {
			w.expireLeases(t, run)
			w.round(t)
			var err error
			record, err = w.History.Run(t.Context(), run.ID())
			return err == nil && record.Status != backfill.StatusRunning
		}, time.Minute, 200*time.Millisecond)
	})
	return record, stood
}

// mostStanding is how long a run may stand still when its primary is replaced. Quiet machines need below 15 s; clients that
// wait until they look for the primary by themselves, a minute.
const mostStanding = 30 * time.Second

// A primary that is killed refuses connections; one whose host is gone says nothing, and only the clients' own times end a wait for it.
func TestARunSurvivesTheFailoverOfSentinels(t *testing.T) {
	t.Parallel()
	for name, lose := range map[string]func(primary *localtest.RedisProcess){
		"killed": (*localtest.RedisProcess).Kill, "silent": (*localtest.RedisProcess).Stop,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := localtest.StartSentinels(t)
			var addresses []string
			for _, sentinel := range s.Sentinels {
				addresses = append(addresses, sentinel.Addr)
			}
			w := onRedis(t, "redis-sentinel://"+strings.Join(addresses, ",")+"/3?sentinel_username=watch&sentinel_password=seen&master="+localtest.SentinelMaster)
			run, chunks := newRun(t, 60)
			require.NoError(t, w.launcher.Launch(t.Context(), run, chunks, false))
			record, stood := w.goesOn(t, run, func() { lose(s.Primary) })
			requireExact(t, record, 60)
			t.Logf("nothing was recorded for %s", stood)
			require.Less(t, stood, mostStanding)
		})
	}
}

func TestARunSurvivesTheDeathOfAPrimaryOfACluster(t *testing.T) {
	t.Parallel()
	c := localtest.StartCluster(t)
	var addresses []string
	for _, node := range c.Primaries {
		addresses = append(addresses, node.Addr)
	}
	w := onRedis(t, "redis-cluster://"+strings.Join(addresses, ","))
	run, chunks := newRun(t, 60)
	require.NoError(t, w.launcher.Launch(t.Context(), run, chunks, false))
	record, stood := w.goesOn(t, run, c.Primaries[0].Kill)
	requireExact(t, record, 60)
	t.Logf("nothing was recorded for %s", stood)
	require.Less(t, stood, mostStanding)
}
