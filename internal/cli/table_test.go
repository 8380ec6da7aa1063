package cli

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"quantbot/internal/backfill"
)

// widest is the width of the widest line.
func widest(shown string) (width int) {
	for line := range strings.Lines(shown) {
		width = max(width, text.StringWidth(strings.TrimRight(line, "\n")))
	}
	return width
}

// Whatever is in a table and however wide the terminal is, it fits, nothing is lost of the columns that are shown, and those
// that are not are named.
func TestATableFitsTheTerminal(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var out bytes.Buffer
		g := &grid{
			out: &out, width: rapid.IntRange(60, 200).Draw(t, "width"), header: table.Row{"id", "status", "source", "commit", "error"},
			spare: []string{"commit", "source"},
		}
		cell := rapid.StringMatching(`[a-zé]{0,70}( [a-z]{1,9}){0,5}`)
		var kept []string
		for range rapid.IntRange(0, 4).Draw(t, "rows") {
			row := []any{cell.Draw(t, "id"), cell.Draw(t, "status"), rapid.Int().Draw(t, "number"), cell.Draw(t, "commit"), cell.Draw(t, "error")}
			kept = append(kept, row[0].(string), row[1].(string), row[4].(string))
			g.AppendRow(row)
		}
		g.Render()
		if width := widest(out.String()); width > g.width {
			t.Fatalf("%d columns wide, and the terminal is %d:\n%s", width, g.width, out.String())
		}
		letters := strings.Count(out.String(), "é")
		if want := strings.Count(strings.Join(kept, ""), "é"); letters < want {
			t.Fatalf("%d of %d é are left:\n%s", letters, want, out.String())
		}
		left := strings.Contains(out.String(), "(no room for: ")
		if strings.Contains(out.String(), "COMMIT") == left {
			t.Fatalf("what is left out is not said:\n%s", out.String())
		}
	})
}

func TestATableWithoutATerminalIsWhole(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	g := &grid{out: &out, header: table.Row{"token", "n"}, spare: []string{"n"}}
	g.AppendRow([]any{strings.Repeat("x", 300), 12})
	g.Render()
	require.Contains(t, out.String(), strings.Repeat("x", 300)+" │ 12 │")
}

// Lines are broken between words where they can be, and no letter is lost.
func TestWrappedLinesFit(t *testing.T) {
	t.Parallel()
	require.Equal(t, "one two\n  three\n  four", wrapped("one two three four", 8, "  "))
	require.Equal(t, "one two three four", wrapped("one two three four", 0, "  "))
	require.Equal(t, "xxxxxxxx\n  xx", wrapped("xxxxxxxxxx", 8, "  "))
	rapid.Check(t, func(t *rapid.T) {
		line := rapid.StringMatching(`[a-zé ]{0,200}`).Draw(t, "line")
		width := rapid.IntRange(20, 100).Draw(t, "width")
		shown := wrapped(line, width, "    ")
		if widest(shown) > width {
			t.Fatalf("%d columns:\n%s", widest(shown), shown)
		}
		letters := func(s string) string { return strings.NewReplacer(" ", "", "\n", "").Replace(s) }
		if letters(shown) != letters(line) {
			t.Fatalf("%q became %q", line, shown)
		}
	})
}

// The line of progress heeds the width, and says ? where nothing moves.
func TestTheLineOfProgress(t *testing.T) {
	t.Parallel()
	s := backfill.LedgerState{AttemptChunks: 4000, Phase: backfill.PhaseRunning}
	s.Progress.Succeeded, s.Progress.Inserted = 1000, 1_234_567
	moving := backfill.Pace{ChunksPerSecond: 10, CandlesPerSecond: 12_345.6, Left: 301 * time.Second, Moving: true}
	require.Equal(t, "1000 of 4000 chunks, about 5 min 1 s left, 1234567 candles, 12346 candles/s, running", progressLine(s, moving, false, 0))
	require.Equal(t, "1000 of 4000 chunks, time left: ?, 1234567 candles, ? candles/s, running", progressLine(s, backfill.Pace{}, false, 0))
	require.Equal(t, "1000 of 4000 chunks, waiting, 1234567 candles, ? candles/s, running", progressLine(s, backfill.Pace{}, true, 0))
	require.Equal(t, "[##------] 1000 of 4000 chunks, about 5 min 1 s left", progressLine(s, moving, false, 52))
	s.Progress.Failed = 3
	require.Contains(t, progressLine(s, moving, false, 59), "3 failed")
	rapid.Check(t, func(t *rapid.T) {
		width := rapid.IntRange(10, 300).Draw(t, "width")
		s.Progress.Succeeded = rapid.Int64Range(0, 1<<40).Draw(t, "done")
		s.AttemptChunks = rapid.IntRange(0, 1<<40).Draw(t, "chunks")
		if line := progressLine(s, moving, false, width); len(line) > width {
			t.Fatalf("%d of %d columns: %s", len(line), width, line)
		}
	})
}

func TestSpokenDurations(t *testing.T) {
	t.Parallel()
	for seconds, want := range map[int]string{0: "0 s", 59: "59 s", 61: "1 min 1 s", 3661: "1 h 1 min", 90_000: "1 d 1 h"} {
		require.Equal(t, want, spoken(time.Duration(seconds)*time.Second))
	}
}
