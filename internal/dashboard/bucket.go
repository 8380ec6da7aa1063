package dashboard

import (
	"fmt"

	"quantbot/internal/candle"
)

// bucket is the length in seconds of what a chart shows as one candle.
type bucket int64

// buckets are what a chart may be resampled to.
var buckets = []bucket{1, 5, 15, 30, 60, 300, 900, 1800, 3600, 2 * 3600, 4 * 3600, 12 * 3600, 86_400, 7 * 86_400}

// String is the length as intervals are written: 15m, 4h, 7d.
func (b bucket) String() string {
	for _, unit := range []struct {
		seconds bucket
		name    string
	}{{86_400, "d"}, {3600, "h"}, {60, "m"}} {
		if b >= unit.seconds && b%unit.seconds == 0 {
			return fmt.Sprintf("%d%s", b/unit.seconds, unit.name)
		}
	}
	return fmt.Sprintf("%ds", int64(b))
}

// count is how many buckets touch the range.
func (b bucket) count(r candle.Range) int64 {
	step := int64(b)
	return (r.To+step-1)/step - r.From/step
}

// bucketsFor are the buckets that a chart of the range can be resampled to: whole candles, and no more than can be seen
// apart. At least the longest is always there.
func bucketsFor(interval candle.Interval, r candle.Range) (fit []bucket) {
	for _, b := range buckets {
		if int64(b)%interval.Seconds() == 0 && b.count(r) <= mostBuckets {
			fit = append(fit, b)
		}
	}
	if len(fit) == 0 {
		fit = append(fit, buckets[len(buckets)-1])
	}
	return fit
}

// readBucket takes the bucket of the address, or the shortest that fits a screen.
func (t *tokenData) readBucket(q *query) {
	t.Bucket = t.Buckets[len(t.Buckets)-1]
	for _, b := range t.Buckets {
		if b.count(t.Range) <= usualBuckets {
			t.Bucket = b
			break
		}
	}
	text := q.text("bucket")
	if text == "" {
		return
	}
	for _, b := range buckets {
		if b.String() != text {
			continue
		}
		for _, fit := range t.Buckets {
			if b == fit {
				t.Bucket, t.ChosenBucket = b, text
				return
			}
		}
		t.Bounded = fmt.Sprintf("Shown in buckets of %s: in %s the range would not fit, or holds no whole candles of %s.", t.Bucket, b, t.Interval)
		return
	}
	q.problem("bucket must be a length such as 1m, 5m, 1h or 1d")
}
