package backfill

import "time"

// paceSpan is over how long a run's pace is measured: long enough to be steady, short enough to follow a change. No pace is
// known before leastPaceSpan has been watched.
const (
	paceSpan      = 30 * time.Second
	leastPaceSpan = time.Second
)

// ProgressReading is how far a run had come when somebody looked.
type ProgressReading struct {
	At            time.Time
	Done, Candles int64
}

// Pace is how fast a run has gone on lately.
type Pace struct {
	ChunksPerSecond, CandlesPerSecond float64
	// Left is how long the rest takes at this pace.
	Left time.Duration
	// Moving says that chunks ended: without that Left is not known.
	Moving bool
}

// PaceBetween is the pace from one reading to a later one of a run of so many chunks.
func PaceBetween(before, now ProgressReading, chunks int64) (p Pace) {
	seconds := now.At.Sub(before.At).Seconds()
	if seconds < leastPaceSpan.Seconds() {
		return Pace{}
	}
	p.ChunksPerSecond = float64(max(now.Done-before.Done, 0)) / seconds
	p.CandlesPerSecond = float64(max(now.Candles-before.Candles, 0)) / seconds
	if p.Moving = p.ChunksPerSecond > 0; p.Moving {
		left := float64(max(chunks-now.Done, 0)) / p.ChunksPerSecond
		p.Left = time.Duration(min(left, longestLeft.Seconds()) * float64(time.Second))
	}
	return p
}

// longestLeft keeps an estimate within what a duration holds.
const longestLeft = 10 * 365 * 24 * time.Hour

// PaceMeter measures the pace of a run over the last half minute, from nothing but what it was shown itself: whoever begins
// to watch late sees the pace of now. The zero value is ready.
type PaceMeter struct{ seen []ProgressReading }

// Add takes a reading, in the order of time, and returns the pace.
func (m *PaceMeter) Add(now ProgressReading, chunks int64) Pace {
	if last := len(m.seen) - 1; last >= 0 && m.seen[last].Done > now.Done {
		m.seen = nil // another attempt
	}
	m.seen = append(m.seen, now)
	for len(m.seen) > 2 && now.At.Sub(m.seen[1].At) >= paceSpan {
		m.seen = m.seen[1:]
	}
	return PaceBetween(m.seen[0], now, chunks)
}
