package cli

import (
	"io"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/creack/pty"
	"github.com/jedib0t/go-pretty/v6/text"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"quantbot/internal/simmarket"
)

// recording is what a command wrote to a terminal.
type recording struct {
	terminal *os.File
	text     *sharedText
	ended    chan error
}

// record starts quantbot on a terminal of so many columns.
func (h *harness) record(t *testing.T, columns uint16, args ...string) *recording {
	t.Helper()
	cmd := exec.Command(os.Args[0], args...)
	cmd.Env = append(os.Environ(), roleVariable+"=1")
	for name, value := range h.vars {
		cmd.Env = append(cmd.Env, name+"="+value)
	}
	terminal, err := pty.StartWithSize(cmd, &pty.Winsize{Rows: 40, Cols: columns})
	require.NoError(t, err)
	r := &recording{terminal: terminal, text: &sharedText{}, ended: make(chan error, 1)}
	copied := make(chan struct{})
	go func() {
		defer close(copied)
		_, _ = io.Copy(r.text, terminal) // ends with an error when the command has closed its side
	}()
	go func() { err := cmd.Wait(); <-copied; r.ended <- err }()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = terminal.Close()
	})
	return r
}

var control = regexp.MustCompile(`\x1b\[[0-9;?]*[A-Za-z]`)

// requireFits demands that nothing that was drawn is wider than the terminal.
func requireFits(t *testing.T, drawn string, columns int) {
	t.Helper()
	for line := range strings.FieldsFuncSeq(control.ReplaceAllString(drawn, ""), func(r rune) bool { return r == '\n' || r == '\r' }) {
		require.LessOrEqual(t, text.StringWidth(line), columns, "%q", line)
	}
}

// wait returns what was drawn once the command has ended.
func (r *recording) wait(t *testing.T) string {
	t.Helper()
	select {
	case <-r.ended:
	case <-time.After(2 * time.Minute):
		t.Fatalf("still running:\n%s", r.text)
	}
	return r.text.String()
}

// On terminals of 60, 80 and 120 columns nothing is wider than they are: progress, tables and details.
func TestTerminalsOfEveryWidth(t *testing.T) {
	t.Parallel()
	h := setup(t, simmarket.Options{Latency: 200 * time.Millisecond})
	h.ok(t, "migrate")
	h.worker(t)
	tokens := simmarket.Tokens(30)
	h.market.SetFaults([]simmarket.Fault{{Kind: "401", Token: tokens[4].Address}})
	list := writeTokens(t, tokens)
	for i, columns := range []uint16{60, 80, 120} {
		width := int(columns)
		from := []string{"2025-03-01", "2025-03-02", "2025-03-03"}[i]
		run := h.record(t, columns, "ingestion", "ohlcv", "--from", from, "--to", "2025-03-04", "--no-resume", "--tokens", list, "--wait")
		drawn := run.wait(t)
		requireFits(t, drawn, width)
		require.Regexp(t, `\r(\[#*-*\] )?\d+ of 30 chunks`, drawn, "the line of progress")
		require.NotContains(t, drawn, "0s:")
		require.Contains(t, drawn, "Next: quantbot ohlcv runs-retry")
		id := h.latest(t)
		for _, args := range [][]string{
			{"ohlcv", "runs-list"}, {"ohlcv", "runs-details", id, "--tasks"}, {"ohlcv", "coverage"}, {"ohlcv", "sources"}, {"doctor"}, {"ohlcv", "runs-watch", id},
		} {
			drawn := h.record(t, columns, args...).wait(t)
			requireFits(t, drawn, width)
			t.Logf("%d columns: %s\n%s", columns, strings.Join(args, " "), drawn)
		}
	}
}

// A terminal that becomes narrower while a run is watched is heeded from then on.
func TestAResizedTerminalIsHeeded(t *testing.T) {
	t.Parallel()
	h := setup(t, simmarket.Options{})
	h.ok(t, "migrate")
	h.ok(t, "ingestion", "ohlcv", "--from", "2025-03-01", "--to", "2025-03-02", "--tokens", writeTokens(t, simmarket.Tokens(3)))
	id := h.latest(t)
	watch := h.record(t, 120, "ohlcv", "runs-watch", id)
	require.Eventually(t, func() bool { return watch.text.contains("running") }, 2*time.Minute, 20*time.Millisecond)
	require.NoError(t, pty.Setsize(watch.terminal, &pty.Winsize{Rows: 40, Cols: 60}))
	narrow := func() bool {
		lines := strings.Split(control.ReplaceAllString(watch.text.String(), ""), "\r")
		return text.StringWidth(lines[len(lines)-1]) < 60
	}
	require.Eventually(t, narrow, 2*time.Minute, 20*time.Millisecond)
	before := len(watch.text.String())
	h.ok(t, "ohlcv", "runs-cancel", id)
	requireFits(t, watch.wait(t)[before:], 60)
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
