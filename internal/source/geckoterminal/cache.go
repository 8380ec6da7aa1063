package geckoterminal

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"golang.org/x/sync/singleflight"

	"quantbot/internal/candle"
)

const (
	// cachedPools bounds what is remembered: about 4 MB.
	cachedPools = 10_000
	// poolTime is how long a pool is taken to be the most liquid one, and noPoolTime how long a token is taken to have none:
	// long enough for the chunks of a token that a worker meets one after another.
	poolTime   = time.Hour
	noPoolTime = 5 * time.Minute
)

// lookup is what the service said of a token's pool.
type lookup struct {
	pool  pool
	err   error // errNoPool, or nil
	until time.Time
}

// poolCache remembers the pools of the tokens that were used last.
type poolCache struct {
	recent *lru.Cache[candle.Token, lookup]
	// asking has the lookups that are under way, by token.
	asking singleflight.Group
}

func newPoolCache(size int) (*poolCache, error) {
	recent, err := lru.New[candle.Token, lookup](size)
	if err != nil {
		return nil, err
	}
	return &poolCache{recent: recent}, nil
}

// find returns what is still known of the token's pool.
func (c *poolCache) find(token candle.Token, now time.Time) (known lookup, ok bool) {
	known, ok = c.recent.Get(token)
	return known, ok && now.Before(known.until)
}

// remember keeps what the service said; other errors than "no pool" say nothing about the token.
func (c *poolCache) remember(token candle.Token, found pool, err error, now time.Time) {
	switch {
	case err == nil:
		c.recent.Add(token, lookup{pool: found, until: now.Add(poolTime)})
	case errors.Is(err, errNoPool):
		c.recent.Add(token, lookup{err: err, until: now.Add(noPoolTime)})
	}
}

// pool returns the token's pool, from the cache when it is there. Of those that want the same pool at once, one asks; when its
// request fails, another asks in its place: each chunk spends a try on its own request alone.
func (s *Source) pool(ctx context.Context, token candle.Token) (found pool, calls int64, err error) {
	for {
		if known, ok := s.pools.find(token, s.now()); ok {
			return known.pool, 0, known.err
		}
		found, calls, own, err := s.sharedLookup(ctx, token)
		if own || err == nil || errors.Is(err, errNoPool) || ctx.Err() != nil {
			return found, calls, err
		}
	}
}

// sharedLookup asks for the token's pool, or waits for the one that does. own says that this one asked, with so many calls.
func (s *Source) sharedLookup(ctx context.Context, token candle.Token) (found pool, calls int64, own bool, err error) {
	var asks atomic.Bool
	var asked int64
	response := s.pools.asking.DoChan(token.String(), func() (_ any, err error) {
		if err := ctx.Err(); err != nil {
			return pool{}, err // it gave up before this began
		}
		asks.Store(true)
		if known, ok := s.pools.find(token, s.now()); ok { // another one asked meanwhile
			return known.pool, known.err
		}
		var found pool
		found, asked, err = s.askPool(ctx, token)
		s.pools.remember(token, found, err, s.now())
		return found, err
	})
	var result singleflight.Result
	select {
	case result = <-response:
	case <-ctx.Done():
		if !asks.Load() {
			return pool{}, 0, false, ctx.Err()
		}
		result = <-response // its own request ends with ctx, and counts
	}
	return result.Val.(pool), asked, asks.Load(), result.Err
}
