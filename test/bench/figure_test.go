package bench

import (
	"bufio"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
)

// bench gathers figures.
type bench struct {
	size     size
	began    time.Time
	figures  []*figure
	broken   []string
	measured bool // whether anything was asked for
}

// figure is something measured in several rounds.
type figure struct {
	Group string `json:"group"`
	Name  string `json:"name"`
	Unit  string `json:"unit"`
	// Goal is what to reach, or 0; AtMost says that less is better.
	Goal   float64 `json:"goal,omitempty"`
	AtMost bool    `json:"at_most,omitempty"`
	// Limit is what the same machine shows in the same run without us, and what it is.
	Limit   string    `json:"limit,omitempty"`
	Samples []float64 `json:"samples"`
	Limits  []float64 `json:"limit_samples,omitempty"`

	Median float64 `json:"median"`
	// Spread is (largest - smallest) / median.
	Spread      float64 `json:"spread"`
	LimitMedian float64 `json:"limit_median,omitempty"`
	// Ratio is Median / LimitMedian.
	Ratio   float64 `json:"ratio,omitempty"`
	Verdict string  `json:"verdict"`
}

// figure returns the one of this name, which the first call describes.
func (b *bench) figure(f figure) *figure {
	for _, known := range b.figures {
		if known.Name == f.Name {
			return known
		}
	}
	b.figures = append(b.figures, &f)
	return &f
}

func (b *bench) add(f figure, sample float64) *figure {
	known := b.figure(f)
	known.Samples = append(known.Samples, sample)
	b.say("%s: %s %s", f.Name, number(sample), f.Unit)
	return known
}

func (f *figure) limit(sample float64) { f.Limits = append(f.Limits, sample) }

func median(samples []float64) float64 {
	if len(samples) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(samples))
	if middle := len(sorted) / 2; len(sorted)%2 == 0 {
		return (sorted[middle-1] + sorted[middle]) / 2
	}
	return sorted[len(sorted)/2]
}

func (f *figure) sum() {
	f.Median, f.LimitMedian = median(f.Samples), median(f.Limits)
	if f.Median != 0 && len(f.Samples) > 1 {
		f.Spread = (slices.Max(f.Samples) - slices.Min(f.Samples)) / f.Median
	}
	if f.LimitMedian != 0 {
		f.Ratio = f.Median / f.LimitMedian
	}
	switch {
	case f.Goal == 0:
	case f.AtMost && f.Median <= f.Goal, !f.AtMost && f.Median >= f.Goal:
		f.Verdict = "reached"
	default:
		f.Verdict = "missed"
	}
}

// print writes the table for people.
func (b *bench) print() {
	w := table.NewWriter()
	w.SetOutputMirror(os.Stdout)
	w.AppendHeader(table.Row{"what", "median", "spread", "reach", "", "limit in this run", "ratio"})
	for _, f := range b.figures {
		f.sum()
		row := table.Row{f.Name, number(f.Median) + " " + f.Unit, "", "", f.Verdict, "", ""}
		if len(f.Samples) > 1 {
			row[2] = fmt.Sprintf("%.0f %%", 100*f.Spread)
		}
		if f.Goal != 0 {
			row[3] = map[bool]string{true: "≤ ", false: "≥ "}[f.AtMost] + number(f.Goal)
		}
		if f.Limit != "" {
			row[5], row[6] = fmt.Sprintf("%s: %s", f.Limit, number(f.LimitMedian)), fmt.Sprintf("%.3f", f.Ratio)
		}
		w.AppendRow(row)
	}
	fmt.Println()
	w.Render()
	m := thisMachine()
	fmt.Printf("%s, %d cores, %d GB, %s, commit %s; %s in all\n", m.CPU, m.Cores, m.MemoryGB, m.Go, m.Commit, time.Since(b.began).Round(time.Second))
	if len(b.broken) > 0 {
		fmt.Println("did not work:", strings.Join(b.broken, ", "))
	}
}

// number writes about three significant digits, with separators.
func number(v float64) string {
	if math.Abs(v) < 100 {
		return strconv.FormatFloat(v, 'g', 3, 64)
	}
	digits := strconv.FormatFloat(math.Abs(v), 'f', 0, 64)
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	if v < 0 {
		return "-" + digits
	}
	return digits
}

type machine struct {
	CPU      string `json:"cpu"`
	Cores    int    `json:"cores"`
	MemoryGB int    `json:"memory_gb"`
	OS       string `json:"os"`
	Go       string `json:"go"`
	Commit   string `json:"commit"`
	Dirty    bool   `json:"dirty"`
}

func thisMachine() machine {
	m := machine{CPU: "unknown", Cores: runtime.NumCPU(), OS: runtime.GOOS + "/" + runtime.GOARCH, Go: runtime.Version(), Commit: "unknown"}
	if cpu := field("/proc/cpuinfo", "model name"); cpu != "" {
		m.CPU = cpu
	}
	if kb, err := strconv.Atoi(strings.TrimSuffix(field("/proc/meminfo", "MemTotal"), " kB")); err == nil {
		m.MemoryGB = (kb + 1<<19) >> 20
	}
	if commit, err := exec.Command("git", "rev-parse", "HEAD").Output(); err == nil {
		m.Commit = strings.TrimSpace(string(commit))
		status, err := exec.Command("git", "status", "--porcelain").Output()
		m.Dirty = err != nil || len(status) > 0
	}
	return m
}

// field reads "name : value" from a file of /proc; empty where it is not there.
func field(path, name string) string {
	file, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer file.Close()
	for lines := bufio.NewScanner(file); lines.Scan(); {
		if key, value, found := strings.Cut(lines.Text(), ":"); found && strings.TrimSpace(key) == name {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

func (b *bench) write(path string) error {
	results := struct {
		At      time.Time `json:"at"`
		Short   bool      `json:"short"`
		Seconds float64   `json:"seconds"`
		Machine machine   `json:"machine"`
		Broken  []string  `json:"broken,omitempty"`
		Figures []*figure `json:"figures"`
	}{b.began.UTC(), *shortFlag, time.Since(b.began).Seconds(), thisMachine(), b.broken, b.figures}
	data, err := json.MarshalIndent(results, "", "  ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, append(data, '\n'), 0o644)
}
