package cli

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/google/uuid"
	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"

	"quantbot/internal/candle"
)

// The widths to which the longest columns of a table are wrapped before one that can be spared is left out, and when none is
// left.
const (
	comfortable = 24
	narrowest   = 8
)

// grid is a table that fits the terminal: long cells are wrapped, and columns that can be spared are left out.
type grid struct {
	out    io.Writer
	width  int // 0 = as wide as it likes
	header table.Row
	rows   []table.Row
	// spare are columns that can be left out, the first one first; whole are never wrapped.
	spare, whole []string
	// verbatim leaves the header as it is, not in capitals.
	verbatim bool
}

// newTable is a table on stdout.
func (a *app) newTable(header ...any) *grid {
	return &grid{out: a.stdout, width: terminalWidth(a.data), header: header}
}

// AppendRow adds a row.
func (g *grid) AppendRow(row []any) {
	cells := make(table.Row, len(row))
	for i, cell := range row {
		cells[i] = cell
		if _, number := cell.(float64); !number {
			cells[i] = candle.Printable(fmt.Sprint(cell)) // before it is measured
		}
	}
	g.rows = append(g.rows, cells)
}

// Render prints the table, and which columns had no room.
func (g *grid) Render() {
	limits, left := g.fit()
	t := table.NewWriter()
	t.SetOutputMirror(g.out)
	t.SetStyle(table.StyleLight)
	if g.verbatim {
		t.Style().Format.Header = text.FormatDefault
	}
	t.AppendHeader(g.header)
	configs := make([]table.ColumnConfig, len(limits))
	for i, limit := range limits {
		configs[i] = table.ColumnConfig{Number: i + 1, Hidden: limit == 0, WidthMax: limit, WidthMaxEnforcer: text.WrapSoft, Align: g.align(i)}
	}
	t.SetColumnConfigs(configs)
	for _, row := range g.rows {
		t.AppendRow(row)
	}
	t.Render()
	if len(left) > 0 {
		fmt.Fprintln(g.out, wrapped("(no room for: "+strings.Join(left, ", ")+")", g.width, "  "))
	}
}

// The beginning of a run id up to its second hyphen distinguishes runs that began at different milliseconds, and commands take it.
// It stands where the whole id has no room beside the rest.
const shortRunID, wideEnough = 13, 160

func (g *grid) runID(id uuid.UUID) string {
	if g.width == 0 || g.width >= wideEnough {
		return id.String()
	}
	return id.String()[:shortRunID]
}

// align puts numbers to the right.
func (g *grid) align(column int) text.Align {
	for _, row := range g.rows {
		if column < len(row) && strings.Trim(fmt.Sprint(row[column]), "0123456789.-+e") != "" {
			return text.AlignLeft
		}
	}
	return text.AlignRight
}

// fit gives each column its width; 0 = it is left out, and named: first those that can be spared, then from the right.
func (g *grid) fit() (limits []int, left []string) {
	limits = g.natural()
	if g.width == 0 {
		return limits, nil
	}
	leave := func(name string) {
		limits, left = g.natural(), append(left, name)
		for i := range limits {
			if slices.Contains(left, fmt.Sprint(g.header[i])) {
				limits[i] = 0
			}
		}
	}
	for _, name := range g.spare {
		if g.shrink(limits, comfortable) {
			return limits, left
		}
		leave(name)
	}
	for i := len(g.header) - 1; i > 0 && !g.shrink(limits, narrowest); i-- {
		if name := fmt.Sprint(g.header[i]); !slices.Contains(left, name) {
			leave(name)
		}
	}
	return limits, left
}

// natural are the widths of the columns as they are.
func (g *grid) natural() []int {
	widths := make([]int, len(g.header))
	for _, row := range append([]table.Row{g.header}, g.rows...) {
		for i, cell := range row {
			widths[i] = max(widths[i], text.StringWidth(fmt.Sprint(cell)))
		}
	}
	return widths
}

// shrink takes from the widest columns until the table fits, but leaves each of them least; ok = it fits.
func (g *grid) shrink(limits []int, least int) (ok bool) {
	for {
		needed, widest := 1, -1
		for i, limit := range limits {
			if limit == 0 {
				continue
			}
			needed += limit + 3 // two blanks and a line
			if limit > least && !slices.Contains(g.whole, fmt.Sprint(g.header[i])) && (widest < 0 || limit > limits[widest]) {
				widest = i
			}
		}
		if needed <= g.width {
			return true
		}
		if widest < 0 {
			return false
		}
		limits[widest]--
	}
}
