// Package clickhousetest fills a database with a long history, made by the server itself: what pages and commands are
// measured against.
package clickhousetest

import (
	_ "embed"
	"strconv"
	"strings"
	"time"
)

// The statements, with {name} for the numbers of a History: none of them is a value from outside.
var (
	//go:embed runs.sql
	runsSQL string
	//go:embed tasks.sql
	tasksSQL string
	//go:embed candles.sql
	candlesSQL string
	//go:embed rejected.sql
	rejectedSQL string
)

// History is how much there is.
type History struct {
	Runs, Chunks, Candles, Tokens int
}

// Full is what a busy desk has after some years.
var Full = History{Runs: 10_000, Chunks: 1_000_000, Candles: 20_000_000, Tokens: 100_000}

// small is a thousandth of it.
var small = History{Runs: 100, Chunks: 1_000, Candles: 20_000, Tokens: 100}

// Sized is the full history where full is a true value (QUANTBOT_BENCH_FULL=1), else a small one.
func Sized(full string) History {
	if yes, err := strconv.ParseBool(full); err == nil && yes {
		return Full
	}
	return small
}

// Start is when the first run began and the first candle opens, End is after the last of both.
var (
	Start = time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC)
	End   = Start.AddDate(0, 0, 60)
)

// Fill puts the history into the migrated database. The runs are spread over 60 days; of each hundred two failed, one was
// cancelled and one rolled back. One token in 500 is traded every minute of four weeks and has half of the candles, a
// quarter of them in two versions; the others have ten chunks of six days with a candle now and then. Every hundredth candle
// of a chunk was rejected, and every 25th chunk failed.
//
// exec runs a statement on the database.
func (h History) Fill(exec func(statement string)) {
	numbers := strings.NewReplacer(
		"{runs}", strconv.Itoa(h.Runs),
		"{chunks}", strconv.Itoa(h.Chunks),
		"{tokens}", strconv.Itoa(h.Tokens),
		"{busy}", strconv.Itoa(h.busy()),
		"{busy_candles}", strconv.Itoa(h.Candles*2/5),
		"{second_versions}", strconv.Itoa(h.Candles/10),
		"{quiet_candles}", strconv.Itoa(h.Candles/2),
		"{busy_minutes}", strconv.Itoa(max(h.Candles*2/5/h.busy(), 1)),
		"{start}", strconv.FormatInt(Start.Unix(), 10),
	)
	for _, file := range []string{runsSQL, tasksSQL, candlesSQL, rejectedSQL} {
		for statement := range strings.SplitSeq(numbers.Replace(file), ";\n") {
			if strings.TrimSpace(statement) != "" {
				exec(statement)
			}
		}
	}
}

// busy is how many tokens trade all the time; they are the first in order of address.
func (h History) busy() int { return max(h.Tokens/500, 1) }
