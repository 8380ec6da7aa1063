package ledger

import (
	"context"

	"quantbot/internal/backfill"
)

// scanCount is how many fields a step of a scan asks for: large enough that round trips do not count, small enough that
// Redis answers others in between.
const scanCount = 500

type field struct{ name, value string }

// scanHash calls yield for the fields of a hash whose names are ids of chunks, page by page, each field once: Redis may
// return a field twice while the hash changes its size.
func (l *Ledger) scanHash(ctx context.Context, key string, yield func(page []field) error) error {
	var seen backfill.ChunkSet
	var cursor uint64
	for {
		values, next, err := l.client.HScan(ctx, key, cursor, "", scanCount).Result()
		if err != nil {
			return redisError("scan "+key, err)
		}
		page := make([]field, 0, len(values)/2)
		for i := 0; i+1 < len(values); i += 2 {
			if !seen.Add(backfill.ChunkID(values[i])) {
				continue
			}
			page = append(page, field{name: values[i], value: values[i+1]})
		}
		if err := yield(page); err != nil {
			return err
		}
		if next == 0 {
			return nil
		}
		cursor = next
	}
}
