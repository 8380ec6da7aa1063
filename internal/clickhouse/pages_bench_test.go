package clickhouse

import (
	"context"
	"os"
	"sync/atomic"
	"testing"
	"time"

	driver "github.com/ClickHouse/clickhouse-go/v2"
	"github.com/stretchr/testify/require"

	"quantbot/internal/backfill"
	"quantbot/internal/candle"
	"quantbot/internal/clickhouse/clickhousetest"
)

// BenchmarkPages measures what the pages of the dashboard ask; QUANTBOT_BENCH_FULL=1 makes it 10,000 runs, 1,000,000 chunks and
// 20 M candles.
func BenchmarkPages(b *testing.B) {
	db, _ := openMigrated(b)
	clickhousetest.Sized(os.Getenv("QUANTBOT_BENCH_FULL")).Fill(func(statement string) {
		b.Helper()
		require.NoError(b, db.exec(b.Context(), streamTimeout, statement))
	})
	everything := candle.Range{From: clickhousetest.Start.Unix(), To: clickhousetest.End.Unix()}
	month := candle.Range{From: everything.From, To: everything.From + 31*86400}
	tokens, total, err := db.AskedTokensPage(b.Context(), candle.Interval1m, month, "", 50, 0)
	require.NoError(b, err)
	require.Positive(b, total)
	q := CoverageQuery{Sources: []string{"birdeye", "geckoterminal"}, Validation: candle.Lenient, Interval: candle.Interval1m, Range: month, Tokens: tokens}
	for name, ask := range map[string]func(context.Context) error{
		"scopes": func(ctx context.Context) error { _, err := db.CoverageScopes(ctx); return err },
		"tokens": func(ctx context.Context) error {
			_, _, err := db.AskedTokensPage(ctx, candle.Interval1m, month, "", 50, total/2)
			return err
		},
		"asked": func(ctx context.Context) error {
			return db.asked(ctx, q, []string{"success", "failed"}, func(backfill.Asked) {})
		},
		"rejected": func(ctx context.Context) error { return db.rejectedRanges(ctx, q, func(backfill.RejectedRange) {}) },
		"have":     func(ctx context.Context) error { return db.have(ctx, q, func(candle.Token, []candle.Range) {}) },
		"judge": func(ctx context.Context) error {
			return db.TokenHistories(ctx, q, func(h backfill.TokenHistory) error { h.Judge(month, time.Now()); return nil })
		},
		"quality":   func(ctx context.Context) error { _, err := db.QualityByDay(ctx, QualityFilter{}); return err },
		"summaries": func(ctx context.Context) error { _, err := db.RunSummaries(ctx, QualityFilter{}, 10_000); return err },
	} {
		b.Run(name, func(b *testing.B) {
			var micros atomic.Int64
			ctx := driver.Context(b.Context(), driver.WithProfileEvents(func(events []driver.ProfileEvent) {
				for _, e := range events {
					if e.Name == "UserTimeMicroseconds" || e.Name == "SystemTimeMicroseconds" {
						micros.Add(e.Value)
					}
				}
			}))
			for b.Loop() {
				require.NoError(b, ask(ctx))
			}
			b.ReportMetric(float64(micros.Load())/1e3/float64(b.N), "server-cpu-ms")
		})
	}
}
