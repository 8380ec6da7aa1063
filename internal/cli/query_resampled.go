package cli

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"

	"quantbot/internal/candle"
	"quantbot/internal/clickhouse/report"
)

// printedBucket is a resampled candle as query writes it.
type printedBucket struct {
	printedCandle
	Candles        int64 `json:"candles" parquet:"candles"`
	ConfirmedEmpty int64 `json:"confirmed_empty" parquet:"confirmed_empty"`
	Expected       int64 `json:"expected" parquet:"expected"`
	Complete       bool  `json:"complete" parquet:"complete"`
}

var printedBucketColumns = append(slices.Clone(printedColumns), "candles", "confirmed_empty", "expected", "complete")

// Record implements export.Row.
func (b printedBucket) Record(record []string) []string {
	return append(b.printedCandle.Record(record), strconv.FormatInt(b.Candles, 10), strconv.FormatInt(b.ConfirmedEmpty, 10),
		strconv.FormatInt(b.Expected, 10), strconv.FormatBool(b.Complete))
}

func (b printedBucket) cells() table.Row {
	complete := "yes"
	if !b.Complete {
		complete = "INCOMPLETE"
	}
	return append(b.printedCandle.cells(), b.Candles, b.ConfirmedEmpty, b.Expected, complete)
}

func (a *app) queryBuckets(ctx context.Context, q rowsQuery, length candle.Interval) error {
	var counts report.Resampling
	buckets, err := writeOrKeep(a, q, printedBucketColumns, func(write func(printedBucket) error) (err error) {
		counts, err = report.New(q.history).Resampled(ctx, q.known.selection, length, func(b *report.Bucket) error {
			return write(printedBucket{
				printedCandle{time.Unix(b.OpenTime, 0).UTC(), b.Open, b.High, b.Low, b.Close, b.Volume, b.VolumeUSD},
				b.Candles, b.Silent, b.Expected, b.Complete(),
			})
		})
		return err
	})
	if err != nil {
		return err
	}
	if q.target.Format == "" {
		printRows(a, buckets.kept, q.known, "time (UTC)", "open", "high", "low", "close", "volume", "volume usd", "candles", "empty", "of", "complete")
	}
	if buckets.written == 0 {
		a.sayLack(q.known, 0, q.target.Format == "")
	} else if note := incompleteness(counts); note != "" {
		fmt.Fprintln(a.stderr, note+gapsHint(q.known.selection))
	}
	return nil
}
