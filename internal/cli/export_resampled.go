package cli

import (
	"context"
	"fmt"
	"strings"

	"quantbot/internal/candle"
	"quantbot/internal/clickhouse"
	"quantbot/internal/clickhouse/report"
	"quantbot/internal/export"
)

// writeBuckets is writeCandles for resampled candles.
func (a *app) writeBuckets(ctx context.Context, history *clickhouse.DB, known knownCandles, length candle.Interval, target export.Target, m *exportManifest) error {
	m.Query["resample"] = length
	var counts report.Resampling
	digest, err := writeRows(a, target, bucketColumns, func(write func(exportedBucket) error) (err error) {
		counts, err = report.New(history).Resampled(ctx, known.selection, length, func(b *report.Bucket) error {
			for _, run := range b.RunIDs {
				m.from(run)
			}
			values := newExportedValues(b.Token, length, b.Candle, b.Quality, strings.Join(b.Sources, ","))
			return write(exportedBucket{values, uint32(b.Candles), uint32(b.Silent), uint32(b.Expected), b.Complete()})
		})
		return err
	})
	m.SHA256, m.Rows, m.Incomplete, m.Unknown = digest, counts.Buckets, &counts.Incomplete, &counts.Unknown
	if note := incompleteness(counts); err == nil && note != "" {
		fmt.Fprintln(a.stderr, note+gapsHint(known.selection))
	}
	return err
}
