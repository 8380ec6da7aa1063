package cli

import (
	"bytes"
	"strings"
	"testing"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
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
