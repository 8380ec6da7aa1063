package chaos

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"quantbot/internal/candle"
	"quantbot/internal/simmarket"
)

// The exit codes that an operator's scripts rely on.
const (
	exitDone      = 0
	exitRefused   = 3
	exitRunFailed = 4
)

// day is what every input asks for.
var day = candle.Range{From: 1_740_787_200, To: 1_740_873_600} // 2025-03-01

func tokensOf(input int) []candle.Token {
	return simmarket.Tokens((input + 1) * tokensPerInput)[input*tokensPerInput:]
}

func (w *harness) tokenFile(t *testing.T, input int) string {
	var lines strings.Builder
	for _, token := range tokensOf(input) {
		lines.WriteString(token.Address + "\n")
	}
	path := filepath.Join(w.dir, "tokens-"+strings.Repeat("i", input+1))
	if err := os.WriteFile(path, []byte(lines.String()), 0o600); err != nil {
		t.Errorf("write the token list: %v", err)
	}
	return path
}

func ingestArgs(tokens string) []string {
	return []string{"ingestion", "ohlcv", "--from", candle.FormatTime(day.From), "--to", candle.FormatTime(day.To),
		"--tokens", tokens, "--halt-rejection-rate", "0", "--wait", "--format", "json"}
}

var runningRun = regexp.MustCompile(`run ([0-9a-f-]{36}) with the same input is still running`)

// backfill does what an operator would do until a run of the input has completed: start it, start it again when its
// enqueuer died, watch it when it goes on without one, retry it when it failed.
func (w *harness) backfill(t *testing.T, input int) {
	args := ingestArgs(w.tokenFile(t, input))
	begin := args
	for deadline := time.Now().Add(2 * settleWithin); time.Now().Before(deadline) && !t.Failed(); {
		p := w.start(t, "quantbot", programs.quantbot, w.vars, args...)
		w.mu.Lock()
		w.enqueuers = append(w.enqueuers, p)
		w.mu.Unlock()
		<-p.ended
		stdout, stderr := p.output(t)
		switch code := p.cmd.ProcessState.ExitCode(); code {
		case exitDone:
			w.mu.Lock()
			defer w.mu.Unlock()
			w.completed = append(w.completed, input)
			return
		case exitRefused:
			if match := runningRun.FindStringSubmatch(stderr); match != nil {
				args = []string{"ohlcv", "runs-watch", match[1], "--format", "json"}
			} else {
				args = begin // a retry may be refused because the run goes on or has completed
			}
		case exitRunFailed:
			args = afterFailure(stdout, begin)
		default: // killed, or a store was away
			args = begin
		}
		time.Sleep(200 * time.Millisecond) // a person is slower
	}
	t.Errorf("input %d has no completed run", input)
}

// afterFailure retries a run, unless it failed before it had a plan.
func afterFailure(stdout string, begin []string) []string {
	var run struct {
		RunID        string `json:"run_id"`
		ErrorMessage string `json:"error_message"`
	}
	if json.Unmarshal([]byte(stdout), &run) != nil || strings.Contains(run.ErrorMessage, "planning") || strings.Contains(run.ErrorMessage, "planned") {
		return begin
	}
	return []string{"ohlcv", "runs-retry", run.RunID, "--wait", "--format", "json"}
}

// redisContext is for single calls to Redis; key is where asynq keeps the leases of active tasks.
func (w *harness) redisContext() (ctx context.Context, key string) {
	return context.Background(), "asynq:{" + ingest + "}:lease"
}
