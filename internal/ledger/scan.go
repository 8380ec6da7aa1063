package ledger

import (
	"context"

	"golang.org/x/sync/errgroup"

	"quantbot/internal/backfill"
)

// scanCount is how many fields a step of a scan asks for: large enough that round trips do not count, small enough that
// Redis answers others in between.
const scanCount = 500

type field struct{ name, value string }

// scanHash calls yield for the fields of a hash whose names are ids of chunks, page by page, each field once. It reads the next
// page while yield decodes one: for a large hash both take as long.
func (l *Ledger) scanHash(ctx context.Context, key string, yield func(page []field) error) error {
	scan, ctx := errgroup.WithContext(ctx)
	pages := make(chan []field, 1)
	scan.Go(func() error {
		defer close(pages)
		return l.readHash(ctx, key, pages)
	})
	scan.Go(func() error {
		for page := range pages {
			if err := yield(page); err != nil {
				return err
			}
		}
		return nil
	})
	return scan.Wait()
}

// readHash sends the fields of a hash, each once: Redis may return a field twice while the hash changes its size.
func (l *Ledger) readHash(ctx context.Context, key string, pages chan<- []field) error {
	var seen backfill.ChunkSet
	for cursor := uint64(0); ; {
		values, next, err := l.client.HScan(ctx, key, cursor, "", scanCount).Result()
		if err != nil {
			return redisError("scan "+key, err)
		}
		page := make([]field, 0, len(values)/2)
		for i := 0; i+1 < len(values); i += 2 {
			if seen.Add(backfill.ChunkID(values[i])) {
				page = append(page, field{name: values[i], value: values[i+1]})
			}
		}
		select {
		case pages <- page:
		case <-ctx.Done():
			return ctx.Err()
		}
		if next == 0 {
			return nil
		}
		cursor = next
	}
}
