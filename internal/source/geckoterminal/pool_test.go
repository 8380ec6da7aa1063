package geckoterminal

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"quantbot/internal/backfill"
	"quantbot/internal/candle"
)

const sol = "solana_So11111111111111111111111111111111111111112"

func TestDecodePool(t *testing.T) {
	t.Parallel()
	mine := "solana_" + token.Address
	for name, test := range map[string]struct {
		body  string
		pool  pool
		class backfill.Class // of the error
	}{
		"base":                    {poolsOf(listed("P1", mine, sol), listed("P2", mine, sol)), pool{address: "P1", side: "base"}, ""},
		"quote":                   {poolsOf(listed("P1", sol, mine), listed("P2", mine, sol)), pool{address: "P1", side: "quote"}, ""},
		"third in the first":      {poolsOf(listed("P1", sol, "solana_X"), listed("P2", mine, sol)), pool{address: "P2", side: "base"}, ""},
		"a mint in other letters": {poolsOf(listed("P1", strings.ToLower(mine), sol)), pool{}, backfill.ClassPermanent},
		"on another network":      {poolsOf(listed("P1", "eth_"+token.Address, sol)), pool{}, backfill.ClassPermanent},
		"no pool":                 {poolsOf(), pool{}, backfill.ClassPermanent},
		"no address":              {poolsOf(listed("", mine, sol)), pool{}, backfill.ClassUnavailable},
		"a path for an address":   {poolsOf(listed("../../x", mine, sol)), pool{}, backfill.ClassUnavailable},
		"no token":                {poolsOf(listed("P1", mine, "")), pool{}, backfill.ClassUnavailable},
		"empty objects":           {`{"data":[{}]}`, pool{}, backfill.ClassUnavailable},
		"no data":                 {`{}`, pool{}, backfill.ClassUnavailable},
		"null":                    {`{"data":null}`, pool{}, backfill.ClassUnavailable},
		"another body":            {rows(), pool{}, backfill.ClassUnavailable},
		"cut":                     {poolsOf(listed("P1", mine, sol))[:40], pool{}, backfill.ClassUnavailable},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			found, err := decodePool([]byte(test.body), token)
			require.Equal(t, test.pool, found)
			if test.class == "" {
				require.NoError(t, err)
				return
			}
			require.Equal(t, test.class, backfill.ClassOf(err), err)
			require.Equal(t, test.class == backfill.ClassPermanent, strings.Contains(err.Error(), "geckoterminal knows no pool of the token"))
		})
	}
}

// counted is a service that has a pool for every token but those that `without` names, and counts who asks.
type counted struct {
	lookups atomic.Int64
	status  atomic.Int64
	without string
}

func (c *counted) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	address, isLookup := strings.CutSuffix(strings.TrimPrefix(r.URL.Path, "/api/v2/networks/solana/tokens/"), "/pools")
	switch status := int(c.status.Load()); {
	case !isLookup:
		fmt.Fprint(w, rows())
		return
	case status != 0:
		w.WriteHeader(status)
	case address == c.without:
		w.WriteHeader(http.StatusNotFound)
		fmt.Fprint(w, notFound)
	default:
		fmt.Fprint(w, poolsOf(listed("P1", "solana_"+address, sol)))
	}
	c.lookups.Add(1)
}

// moving lets a test turn the source's clock.
func moving(s *Source) (pass func(time.Duration)) {
	var now atomic.Int64
	now.Store(today.UnixNano())
	s.now = func() time.Time { return time.Unix(0, now.Load()) }
	return func(d time.Duration) { now.Add(int64(d)) }
}

var aDay = candle.Range{From: today.Unix() - 86_400, To: today.Unix()}

func TestAPoolIsLookedUpOnceAnHour(t *testing.T) {
	t.Parallel()
	service := &counted{}
	source := open(t, today, service)
	pass := moving(source)
	var calls []int64
	for _, wait := range []time.Duration{0, 0, poolTime - time.Second, time.Second, 0} {
		pass(wait)
		f := fetch(t.Context(), source, token, candle.Interval1h, aDay)
		require.NoError(t, f.err)
		calls = append(calls, f.calls)
	}
	require.Equal(t, []int64{2, 1, 1, 2, 1}, calls, "the page that needed it pays for the lookup")
	require.EqualValues(t, 2, service.lookups.Load())
}

func TestATokenWithoutAPoolFailsAndIsRememberedForMinutes(t *testing.T) {
	t.Parallel()
	service := &counted{without: token.Address}
	source := open(t, today, service)
	pass := moving(source)
	var calls []int64
	for _, wait := range []time.Duration{0, 0, noPoolTime} {
		pass(wait)
		f := fetch(t.Context(), source, token, candle.Interval1h, aDay)
		require.Equal(t, backfill.ClassPermanent, backfill.ClassOf(f.err))
		require.EqualError(t, f.err, "geckoterminal knows no pool of the token: HTTP 404: Not Found")
		require.Equal(t, 1, f.pages)
		calls = append(calls, f.calls)
	}
	require.Equal(t, []int64{1, 0, 1}, calls)
}

func TestATroubledLookupIsNotRemembered(t *testing.T) {
	t.Parallel()
	service := &counted{}
	service.status.Store(http.StatusBadGateway)
	source := open(t, today, service)
	f := fetch(t.Context(), source, token, candle.Interval1h, aDay)
	require.Equal(t, backfill.ClassUnavailable, backfill.ClassOf(f.err))
	require.EqualValues(t, 1, f.calls)
	service.status.Store(0)
	f = fetch(t.Context(), source, token, candle.Interval1h, aDay)
	require.NoError(t, f.err)
	require.EqualValues(t, 2, f.calls)
}

func TestChunksOfATokenShareOneLookup(t *testing.T) {
	t.Parallel()
	service := &counted{}
	source := open(t, today, service)
	var group sync.WaitGroup
	var calls atomic.Int64
	for range 20 {
		group.Go(func() { calls.Add(fetch(t.Context(), source, token, candle.Interval1h, aDay).calls) })
	}
	group.Wait()
	require.EqualValues(t, 1, service.lookups.Load())
	require.EqualValues(t, 21, calls.Load())
}

// A failed request is one chunk's try, not one of all that waited for it.
func TestAFailedLookupIsOneChunksAlone(t *testing.T) {
	t.Parallel()
	service := &counted{}
	var failed atomic.Bool
	waiting, release := make(chan struct{}), make(chan struct{})
	source := open(t, today, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/pools") && failed.CompareAndSwap(false, true) {
			close(waiting)
			<-release
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		service.ServeHTTP(w, r)
	}))
	const chunks = 16
	var group sync.WaitGroup
	var failures atomic.Int64
	ask := func() {
		if fetch(t.Context(), source, token, candle.Interval1h, aDay).err != nil {
			failures.Add(1)
		}
	}
	group.Go(ask)
	<-waiting
	for range chunks - 1 {
		group.Go(ask)
	}
	close(release)
	group.Wait()
	require.EqualValues(t, 1, failures.Load())
	require.EqualValues(t, 1, service.lookups.Load(), "one of the others asks for all of them")
}

// One that gives up neither takes the others along nor leaves them waiting.
func TestWhoeverWaitsForALookupMayGiveUp(t *testing.T) {
	t.Parallel()
	service := &counted{}
	arrived := make(chan struct{}, 1)
	source := open(t, today, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if service.lookups.Load() == 0 && strings.HasSuffix(r.URL.Path, "/pools") {
			service.lookups.Add(1)
			arrived <- struct{}{}
			<-r.Context().Done()
			return
		}
		service.ServeHTTP(w, r)
	}))
	asking, stopAsking := context.WithCancel(t.Context())
	waiting, stopWaiting := context.WithCancel(t.Context())
	var group sync.WaitGroup
	var asked, waited, patient fetched
	group.Go(func() { asked = fetch(asking, source, token, candle.Interval1h, aDay) })
	<-arrived
	group.Go(func() { patient = fetch(t.Context(), source, token, candle.Interval1h, aDay) })
	stopWaiting()
	waited = fetch(waiting, source, token, candle.Interval1h, aDay)
	stopAsking()
	group.Wait()
	require.Equal(t, backfill.ClassInterrupted, backfill.ClassOf(asked.err))
	require.Equal(t, backfill.ClassInterrupted, backfill.ClassOf(waited.err))
	require.Zero(t, waited.calls)
	require.NoError(t, patient.err, "it asks in place of the one that gave up")
	require.EqualValues(t, 2, patient.calls)
}

func TestTheCacheForgetsTheTokenThatWasNotUsedLongest(t *testing.T) {
	t.Parallel()
	name := func(s string) candle.Token { return candle.Token{Chain: candle.Solana, Address: s} }
	cache, err := newPoolCache(2)
	require.NoError(t, err)
	knows := func(token candle.Token) bool {
		known, ok := cache.find(token, today)
		require.True(t, !ok || known.pool.address == token.Address)
		return ok
	}
	remember := func(token candle.Token) { cache.remember(token, pool{address: token.Address}, nil, today) }
	remember(name("A"))
	remember(name("B"))
	require.True(t, knows(name("A")))
	remember(name("C"))
	require.True(t, knows(name("A")))
	require.False(t, knows(name("B")))
	require.True(t, knows(name("C")))
	require.Equal(t, 2, cache.recent.Len())
	require.False(t, knows(candle.Token{Chain: candle.Ethereum, Address: "A"}), "another chain's token")
}
