package cli

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"quantbot/internal/candle"
	"quantbot/internal/clickhouse"
	"quantbot/internal/clickhouse/report"
	"quantbot/internal/export"
)

// exportedBucket is a row of an exported file of resampled candles.
type exportedBucket struct {
	Chain           string    `parquet:"chain,dict" json:"chain"`
	TokenAddress    string    `parquet:"token_address,dict" json:"token_address"`
	IntervalSeconds uint32    `parquet:"interval_seconds" json:"interval_seconds"`
	Timestamp       time.Time `parquet:"timestamp,timestamp(millisecond),delta" json:"timestamp"`
	Open            float64   `parquet:"open" json:"open"`
	High            float64   `parquet:"high" json:"high"`
	Low             float64   `parquet:"low" json:"low"`
	Close           float64   `parquet:"close" json:"close"`
	Volume          float64   `parquet:"volume" json:"volume"`
	VolumeUSD       float64   `parquet:"volume_usd" json:"volume_usd"`
	QualityScore    uint32    `parquet:"quality_score" json:"quality_score"`
	Source          string    `parquet:"source,dict" json:"source"`
	Candles         uint32    `parquet:"candles" json:"candles"`
	ConfirmedEmpty  uint32    `parquet:"confirmed_empty" json:"confirmed_empty"`
	Expected        uint32    `parquet:"expected" json:"expected"`
	Complete        bool      `parquet:"complete" json:"complete"`
}

var bucketColumns = []string{
	"chain", "token_address", "interval_seconds", "timestamp", "open", "high", "low", "close", "volume", "volume_usd", "quality_score", "source",
	"candles", "confirmed_empty", "expected", "complete",
}

// Record implements export.Row.
func (b exportedBucket) Record(record []string) []string {
	return append(record, b.Chain, b.TokenAddress, export.Number(b.IntervalSeconds), b.Timestamp.Format(time.RFC3339),
		export.Float(b.Open), export.Float(b.High), export.Float(b.Low), export.Float(b.Close), export.Float(b.Volume), export.Float(b.VolumeUSD), export.Number(b.QualityScore), b.Source,
		export.Number(b.Candles), export.Number(b.ConfirmedEmpty), export.Number(b.Expected), strconv.FormatBool(b.Complete))
}

// writeBuckets is writeCandles for resampled candles.
func (a *app) writeBuckets(ctx context.Context, history *clickhouse.DB, known knownCandles, length candle.Interval, target export.Target, m *exportManifest) error {
	m.Query["resample"] = length
	var counts report.Resampling
	digest, err := writeRows(a, target, bucketColumns, func(write func(exportedBucket) error) (err error) {
		counts, err = report.New(history).Resampled(ctx, known.selection, length, func(b *report.Bucket) error {
			for _, run := range b.RunIDs {
				m.from(run)
			}
			return write(exportedBucket{
				string(b.Token.Chain), b.Token.Address, uint32(length), time.Unix(b.OpenTime, 0).UTC(),
				b.Open, b.High, b.Low, b.Close, b.Volume, b.VolumeUSD, uint32(b.Quality), strings.Join(b.Sources, ","),
				uint32(b.Candles), uint32(b.Silent), uint32(b.Expected), b.Complete(),
			})
		})
		return err
	})
	m.SHA256, m.Rows, m.Incomplete, m.Unknown = digest, counts.Buckets, &counts.Incomplete, &counts.Unknown
	if note := incompleteness(counts); err == nil && note != "" {
		fmt.Fprintln(a.stderr, note+gapsHint(known.selection))
	}
	return err
}
