package bench

import (
	"context"
	"fmt"
	"net"
	"strconv"
	"sync"
	"testing"
	"time"

	driver "github.com/ClickHouse/clickhouse-go/v2"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"quantbot/internal/candle"
)

// measureLongRanges fills long ranges with one worker process, and inserts the same rows with the driver alone.
func measureLongRanges(t *testing.T, b *bench) {
	source := newPages(begin, b.size.longMinutes)
	plan := planOf(t, tokens(b.size.longTokens), all(b.size.longMinutes))
	for round := range b.size.rounds {
		t.Run(fmt.Sprint(round), func(t *testing.T) {
			w := newHarness(t)
			w.vars["BIRDEYE_BASE_URL"] = serve(t, source)
			raw := rawInsert(t, w, b.size)
			workers, stop := w.startWorkers(t, 1)
			_, took := w.fill(t, plan)
			rate := float64(plan.Candles) / took.Seconds()
			b.add(figure{Group: "long", Name: "long ranges, one worker", Unit: "candles/s", Goal: 210_000, Limit: "driver alone, the same rows"}, rate).limit(raw)
			b.add(figure{Group: "long", Name: "long ranges / driver alone", Unit: "×", Goal: 0.35}, rate/raw)
			b.add(figure{Group: "long", Name: "memory of the worker at full speed", Unit: "MB", Goal: 150, AtMost: true}, peakMemory(t, workers[0]))
			stop()
		})
	}
}

// rawInsert inserts the candles of the long ranges row by row in batches of 100,000, which is how the driver is meant to be
// used, and returns rows a second.
func rawInsert(t *testing.T, w *harness, size size) float64 {
	t.Helper()
	conn := connect(t, w)
	ctx := t.Context()
	require.NoError(t, conn.Exec(ctx, "CREATE TABLE raw AS ohlcv_candle_versions"))
	candles, run := minuteCandles(begin, size.longMinutes), uuid.New()
	const batchRows = 100_000
	began := time.Now()
	for _, token := range tokens(size.longTokens) {
		for rest := candles; len(rest) > 0; rest = rest[min(batchRows, len(rest)):] {
			batch, err := conn.PrepareBatch(ctx, "INSERT INTO raw (chain, token_address, interval_seconds, timestamp, rank, ingestion_run_id, open, high, low, close, volume, volume_usd, quality_score, source, source_tier, script_version)")
			require.NoError(t, err)
			for _, c := range rest[:min(batchRows, len(rest))] {
				err := batch.Append(string(token.Chain), token.Address, uint32(60), time.Unix(c.OpenTime, 0), uint64(1), run,
					c.Open, c.High, c.Low, c.Close, c.Volume, c.VolumeUSD, uint8(122), "birdeye", uint8(2), "bench")
				require.NoError(t, err)
			}
			require.NoError(t, batch.Send())
		}
	}
	rate := float64(size.longTokens*size.longMinutes) / time.Since(began).Seconds()
	require.NoError(t, conn.Exec(ctx, "DROP TABLE raw SYNC"))
	return rate
}

func connect(t *testing.T, w *harness) driver.Conn {
	t.Helper()
	conn, err := driver.Open(&driver.Options{
		Addr:        []string{net.JoinHostPort(w.env.Host, strconv.Itoa(w.env.NativePort))},
		Auth:        driver.Auth{Database: w.env.Database, Username: w.env.User, Password: w.env.Password},
		Compression: &driver.Compression{Method: driver.CompressionLZ4},
	})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, conn.Close()) })
	return conn
}

// days are spread over three months, so that inserts meet several partitions, as calls do.
const days = 90

func dayOf(i int) candle.Range {
	from := begin + int64(i%days)*86_400
	return candle.Range{From: from, To: from + 86_400}
}

// measureDays fills many short ranges with one worker process: a tenth of them, then all.
func measureDays(t *testing.T, b *bench) {
	source := newPages(begin, 1_440*days)
	for round := range max(1, b.size.rounds-1) {
		t.Run(fmt.Sprint(round), func(t *testing.T) {
			w := newHarness(t)
			w.vars["BIRDEYE_BASE_URL"] = serve(t, source)
			_, stop := w.startWorkers(t, 1)
			tenth, all := planOf(t, tokens(b.size.dayTokens/10), dayOf), planOf(t, tokens(b.size.dayTokens), dayOf)
			_, tookTenth := w.fill(t, tenth)
			mostParts := watchParts(t, w)
			_, took := w.fill(t, all)
			name := fmt.Sprintf("%s tokens × 1,440 candles", number(float64(b.size.dayTokens)))
			b.add(figure{Group: "days", Name: name, Unit: "chunks/s", Goal: 170, Limit: "bare asynq, tasks that do nothing"}, float64(len(all.Chunks))/took.Seconds()).
				limit(noopTasks(t, w, len(all.Chunks)))
			b.add(figure{Group: "days", Name: "most active parts of a partition meanwhile", Unit: "parts", Goal: 50, AtMost: true}, float64(mostParts()))
			b.add(figure{Group: "days", Name: "10 × the tokens cost", Unit: "×", Goal: 11, AtMost: true}, took.Seconds()/tookTenth.Seconds())
			stop()
		})
	}
}

// watchParts looks at the active parts until the returned function is called, which returns the most of any partition.
func watchParts(t *testing.T, w *harness) (most func() uint64) {
	t.Helper()
	conn := connect(t, w)
	ctx, cancel := context.WithCancel(t.Context())
	var watching sync.WaitGroup
	largest := uint64(0)
	watching.Go(func() {
		ticker := time.NewTicker(200 * time.Millisecond)
		defer ticker.Stop()
		for ctx.Err() == nil {
			var parts uint64
			err := conn.QueryRow(ctx, "SELECT max(parts) FROM (SELECT count() AS parts FROM system.parts WHERE active AND database = currentDatabase() AND table = 'ohlcv_candle_versions' GROUP BY partition)").Scan(&parts)
			if err == nil {
				largest = max(largest, parts)
			}
			select {
			case <-ticker.C:
			case <-ctx.Done():
			}
		}
	})
	return func() uint64 { cancel(); watching.Wait(); return largest }
}

// measureScale fills with 1, 2 and 4 workers from a source that takes 50 ms for an answer, each with few tasks at once, so
// that the source is what is waited for.
func measureScale(t *testing.T, b *bench) {
	const tasksEach = 4
	source := newPages(begin, 1_440)
	source.latency = 50 * time.Millisecond
	hour := func(int) candle.Range { return candle.Range{From: begin, To: begin + 3_600} }
	for round := range b.size.rounds {
		t.Run(fmt.Sprint(round), func(t *testing.T) {
			var alone float64
			for _, n := range []int{1, 2, 4} {
				w := newHarness(t)
				w.vars["BIRDEYE_BASE_URL"] = serve(t, source)
				_, stop := w.startWorkers(t, n, "--concurrency", strconv.Itoa(tasksEach))
				_, took := w.fill(t, planOf(t, tokens(n*b.size.scaled), hour))
				rate := float64(n*b.size.scaled) / took.Seconds()
				b.add(figure{Group: "scale", Name: fmt.Sprintf("source with 50 ms, %d workers of %d tasks", n, tasksEach), Unit: "chunks/s", Limit: "tasks / latency"}, rate).
					limit(float64(n*tasksEach) / source.latency.Seconds())
				if n == 1 {
					alone = rate
				} else {
					b.add(figure{Group: "scale", Name: fmt.Sprintf("%d workers / %d × one worker", n, n), Unit: "×", Goal: 0.85}, rate/(float64(n)*alone))
				}
				stop()
			}
		})
	}
}
