package dashboard

import (
	"fmt"
	"math"

	"github.com/google/uuid"
)

// trend is the sparkline above the list of runs: candles upwards, the share of failed chunks downwards, the newest run
// at the right. All numbers are in the drawing's own units.
type trend struct {
	Width, Height, Axis int
	Bars                []trendBar
	MostCandles         int64
	MeanErrors          float64
}

type trendBar struct {
	RunID                  uuid.UUID
	Label                  string
	X, Width               string
	CandlesY, CandlesTall  string
	ErrorsTall             string
	Failing, CandlesFilled bool
}

const (
	trendWidth   = 1000
	trendUp      = 70
	trendDown    = 28
	trendGap     = 3
	widestBar    = 40
	leastVisible = 1.5
)

func newTrend(runs []runItem) trend {
	t := trend{Width: trendWidth, Height: trendUp + trendDown + 2, Axis: trendUp + 1}
	ended := make([]runItem, 0, len(runs))
	var planned, failed int64
	for _, run := range runs {
		if run.CompletedAt == nil {
			continue // it has no numbers yet
		}
		ended = append(ended, run)
		t.MostCandles = max(t.MostCandles, run.CandlesInserted)
		planned += run.PlannedChunks
		failed += run.ErrorsCount
	}
	if planned > 0 {
		t.MeanErrors = float64(failed) / float64(planned)
	}
	if len(ended) == 0 {
		return t
	}
	step := min(float64(trendWidth)/float64(len(ended)), widestBar)
	for i, run := range ended {
		t.Bars = append(t.Bars, t.bar(run, float64(trendWidth)-float64(i+1)*step, step))
	}
	return t
}

func (t trend) bar(run runItem, x, step float64) trendBar {
	tall := 0.0
	if t.MostCandles > 0 && run.CandlesInserted > 0 {
		tall = max(float64(run.CandlesInserted)/float64(t.MostCandles)*trendUp, leastVisible)
	}
	errors := min(math.Sqrt(run.ErrorRate()), 1) * trendDown // by the root, so that a few failures are seen
	return trendBar{
		RunID: run.RunID,
		Label: fmt.Sprintf("%s, %s: %s candles, %s of chunks failed", shortID(run.RunID), formatTime(run.StartedAt),
			formatCount(run.CandlesInserted), formatPercent(run.ErrorRate())),
		X: decimal(x + trendGap/2), Width: decimal(max(step-trendGap, 1)), CandlesY: decimal(trendUp - tall), CandlesTall: decimal(tall),
		ErrorsTall: decimal(errors), Failing: errors > 0, CandlesFilled: tall > 0,
	}
}

func decimal(x float64) string { return fmt.Sprintf("%.1f", x) }
