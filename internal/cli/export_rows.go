package cli

import (
	"slices"
	"strconv"
	"time"

	"quantbot/internal/candle"
	"quantbot/internal/export"
)

// exportedValues are the columns that the rows of all exported files begin with.
type exportedValues struct {
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
}

var valueColumns = []string{
	"chain", "token_address", "interval_seconds", "timestamp", "open", "high", "low", "close", "volume", "volume_usd", "quality_score", "source",
}

func newExportedValues(token candle.Token, interval candle.Interval, c candle.Candle, quality uint8, source string) exportedValues {
	return exportedValues{
		string(token.Chain), token.Address, uint32(interval), time.Unix(c.OpenTime, 0).UTC(),
		c.Open, c.High, c.Low, c.Close, c.Volume, c.VolumeUSD, uint32(quality), source,
	}
}

// Record implements export.Row.
func (v exportedValues) Record(record []string) []string {
	return append(record, v.Chain, v.TokenAddress, export.Number(v.IntervalSeconds), v.Timestamp.Format(time.RFC3339),
		export.Float(v.Open), export.Float(v.High), export.Float(v.Low), export.Float(v.Close), export.Float(v.Volume), export.Float(v.VolumeUSD),
		export.Number(v.QualityScore), v.Source)
}

// exportedCandle is a row of an exported file.
type exportedCandle struct {
	exportedValues
	RunID string `parquet:"ingestion_run_id,dict" json:"ingestion_run_id"`
}

var candleColumns = append(slices.Clone(valueColumns), "ingestion_run_id")

// Record implements export.Row.
func (c exportedCandle) Record(record []string) []string {
	return append(c.exportedValues.Record(record), c.RunID)
}

// exportedBucket is a row of an exported file of resampled candles.
type exportedBucket struct {
	exportedValues
	Candles        uint32 `parquet:"candles" json:"candles"`
	ConfirmedEmpty uint32 `parquet:"confirmed_empty" json:"confirmed_empty"`
	Expected       uint32 `parquet:"expected" json:"expected"`
	Complete       bool   `parquet:"complete" json:"complete"`
}

var bucketColumns = append(slices.Clone(valueColumns), "candles", "confirmed_empty", "expected", "complete")

// Record implements export.Row.
func (b exportedBucket) Record(record []string) []string {
	return append(b.exportedValues.Record(record), export.Number(b.Candles), export.Number(b.ConfirmedEmpty), export.Number(b.Expected),
		strconv.FormatBool(b.Complete))
}
