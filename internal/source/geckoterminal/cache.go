package geckoterminal

import (
	"container/list"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"

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

// poolCache remembers the pools of the tokens that were used last.
type poolCache struct {
	size int

	mu      sync.Mutex
	byToken map[candle.Token]*list.Element
	recent  *list.List // of *poolEntry, the last used first
}

// poolEntry is what is known about one token.
type poolEntry struct {
	token candle.Token
	// asking is held by the one that asks the service; it guards what follows.
	asking *semaphore.Weighted
	until  time.Time
	pool   pool
	err    error
}

func newPoolCache(size int) *poolCache {
	return &poolCache{size: size, byToken: make(map[candle.Token]*list.Element), recent: list.New()}
}

// entry returns the token's entry, a new one when it has none. One that is dropped meanwhile serves those that hold it.
func (c *poolCache) entry(token candle.Token) *poolEntry {
	c.mu.Lock()
	defer c.mu.Unlock()
	if element, ok := c.byToken[token]; ok {
		c.recent.MoveToFront(element)
		return element.Value.(*poolEntry)
	}
	if c.recent.Len() >= c.size {
		oldest := c.recent.Back()
		delete(c.byToken, c.recent.Remove(oldest).(*poolEntry).token)
	}
	entry := &poolEntry{token: token, asking: semaphore.NewWeighted(1)}
	c.byToken[token] = c.recent.PushFront(entry)
	return entry
}
