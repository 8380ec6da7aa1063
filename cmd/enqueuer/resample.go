package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"

	"quantbot/internal/candle"
	"quantbot/internal/clickhouse"
)

const resampleHelp = `

With --resample, candles are put together to longer ones: open of the first, close of the last, highest, lowest, sums of the
volumes. A bucket belongs to the range if it opens inside it. It is complete if every candle of --interval is there or a
source has confirmed that there is none (see coverage); others are marked, and what is missing is never made up. Buckets without
any candle are left out; how many of them are not confirmed to be empty is said at the end.`

// printedBucket is a resampled candle as query writes it in JSON.
type printedBucket struct {
	printedCandle
	Candles        int64 `json:"candles"`
	ConfirmedEmpty int64 `json:"confirmed_empty"`
	Expected       int64 `json:"expected"`
	Complete       bool  `json:"complete"`
}

func (a *app) queryBuckets(ctx context.Context, history *clickhouse.DB, known knownCandles, length candle.Interval, limit int, format string) error {
	buckets := []printedBucket{}
	counts, err := history.Resampled(ctx, known.selection, length, func(b *clickhouse.Bucket) error {
		if len(buckets) == limit {
			return errEnough
		}
		buckets = append(buckets, printedBucket{
			printedCandle{time.Unix(b.OpenTime, 0).UTC(), b.Open, b.High, b.Low, b.Close, b.Volume, b.VolumeUSD},
			b.Candles, b.Silent, b.Expected, b.Complete(),
		})
		return nil
	})
	if err != nil && !errors.Is(err, errEnough) {
		return err
	}
	a.noteLimit(err, limit)
	if err := a.printBuckets(buckets, known, format); err != nil {
		return err
	}
	if len(buckets) == 0 {
		a.sayLack(known, 0, format != "json")
		return nil
	}
	if note := incompleteness(counts); note != "" {
		fmt.Fprintln(a.stderr, note+gapsHint(known.selection))
	}
	return nil
}

func (a *app) printBuckets(buckets []printedBucket, known knownCandles, format string) error {
	if format == "json" {
		return a.printJSON(buckets)
	}
	if len(buckets) == 0 {
		fmt.Fprintln(a.stdout, known.none())
		return nil
	}
	t := a.newTable("time (UTC)", "open", "high", "low", "close", "volume", "volume usd", "candles", "empty", "of", "complete")
	for _, b := range buckets {
		complete := "yes"
		if !b.Complete {
			complete = "INCOMPLETE"
		}
		t.AppendRow(table.Row{formatTime(b.Timestamp), b.Open, b.High, b.Low, b.Close, b.Volume, b.VolumeUSD, b.Candles, b.ConfirmedEmpty, b.Expected, complete})
	}
	t.Render()
	return nil
}

// incompleteness is a sentence on what is missing, or nothing.
func incompleteness(r clickhouse.Resampling) string {
	var parts []string
	if r.Incomplete > 0 {
		parts = append(parts, fmt.Sprintf("%d of %d buckets are incomplete", r.Incomplete, r.Buckets))
	}
	if r.Unknown > 0 {
		parts = append(parts, fmt.Sprintf("%d buckets have no candle and are not confirmed to be empty", r.Unknown))
	}
	return strings.Join(parts, ", ")
}

// exportedBucket is a row of an exported file of resampled candles.
type exportedBucket struct {
	Chain           string    `parquet:"chain,dict"`
	TokenAddress    string    `parquet:"token_address,dict"`
	IntervalSeconds uint32    `parquet:"interval_seconds"`
	Timestamp       time.Time `parquet:"timestamp,timestamp(millisecond),delta"`
	Open            float64   `parquet:"open"`
	High            float64   `parquet:"high"`
	Low             float64   `parquet:"low"`
	Close           float64   `parquet:"close"`
	Volume          float64   `parquet:"volume"`
	VolumeUSD       float64   `parquet:"volume_usd"`
	QualityScore    uint32    `parquet:"quality_score"`
	Source          string    `parquet:"source,dict"`
	Candles         uint32    `parquet:"candles"`
	ConfirmedEmpty  uint32    `parquet:"confirmed_empty"`
	Expected        uint32    `parquet:"expected"`
	Complete        bool      `parquet:"complete"`
}

var bucketColumns = []string{
	"chain", "token_address", "interval_seconds", "timestamp", "open", "high", "low", "close", "volume", "volume_usd", "quality_score", "source",
	"candles", "confirmed_empty", "expected", "complete",
}

func (b exportedBucket) record(record []string) []string {
	return append(record, b.Chain, b.TokenAddress, csvNumber(b.IntervalSeconds), b.Timestamp.Format(time.RFC3339),
		csvFloat(b.Open), csvFloat(b.High), csvFloat(b.Low), csvFloat(b.Close), csvFloat(b.Volume), csvFloat(b.VolumeUSD), csvNumber(b.QualityScore), b.Source,
		csvNumber(b.Candles), csvNumber(b.ConfirmedEmpty), csvNumber(b.Expected), strconv.FormatBool(b.Complete))
}

// writeBuckets is writeCandles for resampled candles.
func (a *app) writeBuckets(ctx context.Context, history *clickhouse.DB, s clickhouse.Selection, length candle.Interval, w io.Writer, m *exportManifest) error {
	m.Query["resample"] = length
	out := newRowWriter[exportedBucket](w, m.Format, bucketColumns)
	counts, err := history.Resampled(ctx, s, length, func(b *clickhouse.Bucket) error {
		for _, run := range b.RunIDs {
			m.from(run)
		}
		return out.write(exportedBucket{
			string(b.Token.Chain), b.Token.Address, uint32(length), time.Unix(b.OpenTime, 0).UTC(),
			b.Open, b.High, b.Low, b.Close, b.Volume, b.VolumeUSD, uint32(b.Quality), strings.Join(b.Sources, ","),
			uint32(b.Candles), uint32(b.Silent), uint32(b.Expected), b.Complete(),
		})
	})
	m.Rows, m.Incomplete, m.Unknown = counts.Buckets, &counts.Incomplete, &counts.Unknown
	if note := incompleteness(counts); err == nil && note != "" {
		fmt.Fprintln(a.stderr, note+gapsHint(s))
	}
	return errors.Join(err, out.close())
}
