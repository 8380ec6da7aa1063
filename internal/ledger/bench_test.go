package ledger_test

import (
	"sync/atomic"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"quantbot/internal/backfill"
)

func BenchmarkStorePlan(b *testing.B) {
	l, _ := newLedger(b)
	run, plan := newRun(100_000)
	for b.Loop() {
		run.Manifest.RunID = uuid.New()
		epoch, err := l.Open(b.Context(), run, true)
		require.NoError(b, err)
		require.NoError(b, l.StorePlan(b.Context(), run.ID(), epoch, plan))
	}
	b.ReportMetric(float64(b.N*len(plan))/b.Elapsed().Seconds(), "chunks/s")
}

func BenchmarkRecord(b *testing.B) {
	l, _ := newLedger(b)
	run, plan := newRun(b.N)
	epoch := sealRun(b, l, run, plan)
	var next atomic.Int64
	b.SetParallelism(16)
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			chunk := plan[next.Add(1)-1]
			recorded, err := l.Record(b.Context(), taskOf(run, chunk), epoch, outcomeOf(chunk, backfill.OutcomeSuccess))
			if err != nil || !recorded.Kept {
				b.Errorf("record: kept %v, err %v", recorded.Kept, err)
			}
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "outcomes/s")
}

func BenchmarkAdmit(b *testing.B) {
	l, _ := newLedger(b)
	run, plan := newRun(b.N)
	sealRun(b, l, run, plan)
	var next atomic.Int64
	b.SetParallelism(16)
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := l.Admit(b.Context(), taskOf(run, plan[next.Add(1)-1])); err != nil {
				b.Errorf("admit: %v", err)
			}
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "chunks/s")
}

func BenchmarkOutcomes(b *testing.B) {
	l, _ := newLedger(b)
	run, plan := newRun(100_000)
	epoch := sealRun(b, l, run, plan)
	recordAll(b, l, run, epoch, plan)
	for b.Loop() {
		read := 0
		require.NoError(b, l.Outcomes(b.Context(), run.ID(), 1, func(backfill.Outcome) error {
			read++
			return nil
		}))
		require.Equal(b, len(plan), read)
	}
	b.ReportMetric(float64(b.N*len(plan))/b.Elapsed().Seconds(), "outcomes/s")
}
