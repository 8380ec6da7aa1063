// Package chaos runs quantbot's real programs on real engines while it kills them, stops them, empties their Redis and
// takes their source away, by a schedule drawn from a seed; at the end nothing may be lost, doubled or stuck.
package chaos

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"quantbot/internal/local"
)

var (
	seedsFlag = flag.String("chaos.seeds", "", "comma-separated seeds; empty = the short form with one seed")
	killsFlag = flag.Int("chaos.kills", 6, "how many workers are killed")
	keepFlag  = flag.Bool("chaos.keep", false, "keep the logs of all processes")
)

// programs are the built programs.
var programs struct{ quantbot, worker string }

func TestMain(m *testing.M) {
	local.RunChild()
	flag.Parse()
	os.Exit(run(m))
}

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "quantbot-chaos-")
	if err != nil {
		fmt.Fprintln(os.Stderr, "make a directory for the programs:", err)
		return 1
	}
	defer os.RemoveAll(dir)
	programs.quantbot, programs.worker = filepath.Join(dir, "quantbot"), filepath.Join(dir, "worker")
	for path, source := range map[string]string{programs.quantbot: "./cmd/enqueuer", programs.worker: "./cmd/worker"} {
		build := exec.Command("go", "build", "-ldflags=-w", "-o", path, source)
		build.Dir = filepath.Join("..", "..")
		build.Stderr = os.Stderr
		if err := build.Run(); err != nil {
			fmt.Fprintln(os.Stderr, "build", source, err)
			return 1
		}
	}
	return m.Run()
}

// TestChaos is one full round per seed. The seed and its schedule are printed; the same seed draws the same schedule.
func TestChaos(t *testing.T) {
	seeds, long := []uint64{uint64(time.Now().UnixNano() % 1_000_000)}, false
	if *seedsFlag != "" {
		seeds, long = nil, true
		for text := range strings.SplitSeq(*seedsFlag, ",") {
			seed, err := strconv.ParseUint(text, 10, 64)
			if err != nil {
				t.Fatalf("-chaos.seeds: %v", err)
			}
			seeds = append(seeds, seed)
		}
	}
	for _, seed := range seeds {
		t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) {
			t.Parallel()
			plan := draw(seed, *killsFlag, long)
			t.Logf("replay with: go test ./test/chaos -run TestChaos -v -chaos.kills=%d -chaos.seeds=%d (the short form of a seed differs)\n%s", *killsFlag, seed, plan)
			began := time.Now()
			w := newHarness(t, plan)
			w.unleash(t)
			w.settle(t)
			w.check(t)
			t.Logf("seed %d: %s in %s", seed, w.summary.String(), time.Since(began).Round(time.Second))
		})
	}
}
