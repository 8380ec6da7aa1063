package dashboard

import (
	"time"

	"github.com/google/uuid"

	"quantbot/internal/backfill"
)

// Progress is how far a running run has come.
type Progress struct {
	RunID     uuid.UUID      `json:"run_id"`
	Phase     backfill.Phase `json:"phase"`
	Attempt   int            `json:"attempt"`
	Chunks    int            `json:"chunks"`
	Done      int64          `json:"done"`
	Succeeded int64          `json:"succeeded"`
	Failed    int64          `json:"failed"`
	Cancelled int64          `json:"cancelled"`
	Pending   int            `json:"pending"`
	Fetched   int64          `json:"candles_fetched"`
	Inserted  int64          `json:"candles_inserted"`
	Rejected  int64          `json:"candles_rejected"`
	// ChunksPerSecond and CandlesPerSecond are over the last half minute that somebody watched; 0 when not known yet.
	ChunksPerSecond  float64 `json:"chunks_per_second"`
	CandlesPerSecond float64 `json:"candles_per_second"`
	// SecondsLeft is an estimate; nil when there is no rate to estimate from.
	SecondsLeft *float64 `json:"seconds_left"`
	// Cancelling and Halted say that the run is being ended before its time, and why.
	Cancelling bool   `json:"cancelling"`
	Halted     string `json:"halted,omitempty"`
	// Waits are what the run waits for, the longest first, and WaitingFor the same in words.
	Waits      []backfill.Wait `json:"waits,omitempty"`
	WaitingFor []string        `json:"waiting_for"`
	// Ended reports that the run is over: its row has the result.
	Ended bool `json:"ended"`
}

// Percent is how many of a hundred chunks are done; a run without chunks is done.
func (p Progress) Percent() float64 {
	if p.Chunks == 0 {
		return 100
	}
	return min(float64(p.Done)*100/float64(p.Chunks), 100)
}

// Left is SecondsLeft as a duration.
func (p Progress) Left() time.Duration {
	if p.SecondsLeft == nil {
		return 0
	}
	return time.Duration(*p.SecondsLeft * float64(time.Second))
}

func newProgress(s backfill.LedgerState) Progress {
	return Progress{
		Waits: s.Waits, WaitingFor: backfill.Sentences(s.Waits),
		RunID: s.Run.ID(), Phase: s.Phase, Attempt: s.Run.Attempt, Chunks: s.AttemptChunks, Done: s.Progress.Done(),
		Succeeded: s.Progress.Succeeded, Failed: s.Progress.Failed, Cancelled: s.Progress.Cancelled, Pending: s.Pending,
		Fetched: s.Progress.Fetched, Inserted: s.Progress.Inserted, Rejected: s.Progress.Rejected,
		Cancelling: s.Cancelled, Halted: s.Halted, Ended: s.Result != nil,
	}
}

// addPace puts the rates and the estimate into the progress.
func (p *Progress) addPace(pace backfill.Pace) {
	p.ChunksPerSecond, p.CandlesPerSecond = pace.ChunksPerSecond, pace.CandlesPerSecond
	if pace.Moving {
		left := pace.Left.Seconds()
		p.SecondsLeft = &left
	}
}
