package cli

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"quantbot/internal/backfill"
	"quantbot/internal/candle"
)

// progress shows one line that is drawn again and again on a terminal, and a line now and then otherwise.
type progress struct {
	out, screen io.Writer
	now         func() time.Time
	// width asks how wide the terminal is now; 0 = there is none.
	width    func() int
	drawn    bool
	lastLine time.Time
	meter    backfill.PaceMeter
	strange  bool
	warned   bool
	// waits are those that were mentioned, and when.
	waits          map[string]time.Time
	lookedForWaits time.Time
}

// lineEvery is the pause between two lines of progress where there is no terminal.
const lineEvery = 5 * time.Second

func (a *app) newProgress() *progress {
	return &progress{
		out: a.stderr, screen: a.screen, now: a.now, lastLine: a.now(), width: func() int { return terminalWidth(a.screen) },
	}
}

// What a terminal obeys: go to the beginning of the line, and clear what follows.
const lineStart, clearRest = "\r", "\x1b[K"

func (p *progress) update(s backfill.LedgerState) {
	now := p.now()
	pace := p.meter.Add(backfill.ProgressReading{At: now, Done: s.Progress.Done(), Candles: s.Progress.Inserted}, int64(s.AttemptChunks))
	width := p.width()
	if width == 0 {
		if now.Sub(p.lastLine) >= lineEvery {
			p.lastLine = now
			fmt.Fprintln(p.out, progressLine(s, pace, len(p.waits) > 0, 0))
		}
		return
	}
	line := progressLine(s, pace, len(p.waits) > 0, width-1) // in the last column, some terminals begin another line
	p.drawn = true
	_, _ = io.WriteString(p.screen, lineStart+candle.Printable(line)+clearRest) // drawing may fail, the run goes on
}

// clear takes the drawn line away.
func (p *progress) clear() {
	if p.drawn {
		_, _ = io.WriteString(p.screen, lineStart+clearRest) // drawing may fail, the run goes on
		p.drawn = false
	}
}

func (p *progress) note(text string) {
	p.clear()
	fmt.Fprintln(p.out, text)
}

// progressLine says how far a run has come, in at most width columns; 0 = in as many as it takes.
func progressLine(s backfill.LedgerState, pace backfill.Pace, waiting bool, width int) string {
	left := "time left: ?"
	switch {
	case waiting:
		left = "waiting"
	case pace.Moving:
		left = "about " + spoken(pace.Left) + " left"
	}
	done, chunks := s.Progress.Done(), int64(s.AttemptChunks)
	parts := []string{
		fmt.Sprintf("%d of %s", done, counted(chunks, "chunk")),
		left,
		fmt.Sprintf("%d failed", s.Progress.Failed),
		counted(s.Progress.Inserted, "candle"),
		rateText(pace) + " candles/s",
		string(s.Phase),
	}
	if s.Progress.Failed == 0 {
		parts[2] = ""
	}
	line := parts[0]
	for _, part := range parts[1:] {
		if part == "" {
			continue
		}
		if width > 0 && len(line)+len(", ")+len(part) > width {
			break
		}
		line += ", " + part
	}
	if width == 0 {
		return line
	}
	if room := min(width-len(line)-len(" []"), widestBar); room >= narrowestBar && chunks > 0 {
		line = bareBar(done, chunks, room) + " " + line
	}
	return line[:min(len(line), width)]
}

// The bar takes what the words leave.
const narrowestBar, widestBar = 8, 40

func bareBar(done, chunks int64, width int) string {
	full := int(min(done, chunks) * int64(width) / chunks)
	return "[" + strings.Repeat("#", full) + strings.Repeat("-", width-full) + "]"
}

// rateText is a rate as people want to read it: ? where nothing moves.
func rateText(p backfill.Pace) string {
	if p.CandlesPerSecond <= 0 {
		return "?"
	}
	return strconv.FormatFloat(p.CandlesPerSecond, 'f', 0, 64)
}

// spoken is a duration in its two largest units.
func spoken(d time.Duration) string {
	const day = 24 * time.Hour
	switch d = d.Round(time.Second); {
	case d >= day:
		return fmt.Sprintf("%d d %d h", d/day, d%day/time.Hour)
	case d >= time.Hour:
		return fmt.Sprintf("%d h %d min", d/time.Hour, d%time.Hour/time.Minute)
	case d >= time.Minute:
		return fmt.Sprintf("%d min %d s", d/time.Minute, d%time.Minute/time.Second)
	}
	return fmt.Sprintf("%d s", d/time.Second)
}
