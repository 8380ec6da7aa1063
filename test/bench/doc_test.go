// Package bench measures quantbot's figures on real engines and real worker processes: each beside the limit that the
// same machine shows in the same run, several rounds each. make bench runs it; docs/performance.md explains each figure.
//
// Nothing here fails because a figure is missed, only because something does not work: times depend on the machine.
package bench

import (
	"cmp"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"quantbot/internal/local/localtest"
)

var (
	figuresFlag = flag.Bool("figures", false, "measure the figures")
	shortFlag   = flag.Bool("figures.short", os.Getenv("BENCH_SHORT") != "", "one small round of each (also BENCH_SHORT=1): whether it works, not how fast")
	roundsFlag  = flag.Int("figures.rounds", 0, "how often each is measured; 0 = as the size says")
	runFlag     = flag.Int("figures.run", 0, "also fill a run of so many chunks of an hour, for example 1000000 (half an hour)")
	onlyFlag    = flag.String("figures.only", "", "measure only the groups that match this expression")
	outFlag     = flag.String("figures.out", "", "write the results to this file, JSON")
)

func TestMain(m *testing.M) { localtest.MainOnDisk(m) }

// size is how much is measured.
type size struct {
	rounds int
	// long ranges
	longTokens, longMinutes int
	// many tokens of a day each
	dayTokens int
	// planned, and launched, recorded and finished chunks
	planned, chunks int
	// chunks of the largest run, without workers
	million int
	// seconds of the shared budget
	budgetSeconds int
	// single chunks for idle workers
	lonely int
	// chunks for one worker where the source is slow; more workers get more
	scaled int
	// stored versions for the view, and for the rollback (half of them are rolled back)
	viewVersions, rollbackVersions int
}

var (
	fullSize  = size{rounds: 3, longTokens: 10, longMinutes: 400_000, dayTokens: 10_000, planned: 1_000_000, chunks: 100_000, million: 1_000_000, budgetSeconds: 60, lonely: 200, scaled: 400, viewVersions: 13_000_000, rollbackVersions: 20_000_000}
	shortSize = size{rounds: 1, longTokens: 2, longMinutes: 60_000, dayTokens: 200, planned: 50_000, chunks: 2_000, million: 5_000, budgetSeconds: 5, lonely: 20, scaled: 40, viewVersions: 1_340_000, rollbackVersions: 200_000}
)

// TestFigures measures everything and prints a table.
func TestFigures(t *testing.T) {
	if !*figuresFlag {
		t.Skip("figures are measured by make bench")
	}
	only, err := regexp.Compile(*onlyFlag)
	require.NoError(t, err, "-figures.only")
	t.Cleanup(func() { _ = os.RemoveAll(built.dir) })
	b := &bench{size: fullSize, began: time.Now()}
	if *shortFlag {
		b.size = shortSize
	}
	b.size.rounds = cmp.Or(*roundsFlag, b.size.rounds)
	for _, group := range []struct {
		name    string
		measure func(*testing.T, *bench)
	}{
		{"plan", measurePlan},
		{"long", measureLongRanges},
		{"days", measureDays},
		{"queue", measureQueue},
		{"million", measureMillion},
		{"calls", measureCalls},
		{"latency", measureLatency},
		{"scale", measureScale},
		{"budget", measureBudget},
		{"view", measureView},
		{"rollback", measureRollback},
		{"run", measureRun},
	} {
		if group.name == "run" && *runFlag == 0 || !only.MatchString(group.name) {
			continue
		}
		b.measured = true
		if !t.Run(group.name, func(t *testing.T) { group.measure(t, b) }) {
			b.broken = append(b.broken, group.name)
		}
	}
	require.True(t, b.measured, "no group matches -figures.only=%s", *onlyFlag)
	b.print()
	if *outFlag != "" {
		require.NoError(t, b.write(*outFlag))
	}
}

var built struct {
	once sync.Once
	dir  string
	err  error
}

// worker is the path of the program, built once.
func worker(t *testing.T) string {
	t.Helper()
	built.once.Do(func() {
		built.dir, built.err = os.MkdirTemp("", "quantbot-bench-") //nolint:usetesting // it outlives the test that builds
		if built.err != nil {
			return
		}
		build := exec.Command("go", "build", "-o", filepath.Join(built.dir, "worker"), "./cmd/worker")
		build.Dir, build.Stderr = filepath.Join("..", ".."), os.Stderr
		build.Env = append(os.Environ(), "CGO_ENABLED=0")
		built.err = build.Run()
	})
	require.NoError(t, built.err, "build the worker")
	return filepath.Join(built.dir, "worker")
}

// say shows what goes on.
func (b *bench) say(format string, args ...any) {
	fmt.Printf("%6s  %s\n", time.Since(b.began).Round(time.Second), fmt.Sprintf(format, args...))
}
