package main

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"quantbot/internal/simmarket"
)

// sharedText is written by a command while a test reads it.
type sharedText struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (s *sharedText) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(p)
}

func (s *sharedText) contains(part string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Contains(s.text.String(), part)
}

// Nobody works: --wait says so after its patience. An interrupt ends the waiting alone, and names what can be done.
func TestAnInterruptedWaitSaysHowToGoOn(t *testing.T) {
	t.Parallel()
	b := setup(t, simmarket.Options{})
	var stdout, stderr sharedText
	var later atomic.Int64
	a := &app{
		stdin: strings.NewReader(""), stdout: &stdout, stderr: &stderr,
		now:    func() time.Time { return time.Now().Add(time.Duration(later.Load())) },
		getenv: func(name string) string { return b.vars[name] },
	}
	ctx, interrupt := context.WithCancel(t.Context())
	defer interrupt()
	ended := make(chan int, 1)
	go func() {
		ended <- a.run(ctx, []string{"ingestion", "ohlcv", "--from", "2025-03-01", "--to", "2025-03-02", "--token", simmarket.Tokens(1)[0].Address, "--wait"})
	}()
	running := func() bool {
		return b.number(t, "SELECT count() FROM "+b.table("ohlcv_ingestion_runs")+" WHERE status = 'running'") == 1
	}
	b.ok(t, "migrate")
	require.Eventually(t, running, time.Minute, 20*time.Millisecond)
	require.False(t, stderr.contains("no worker"))
	// Again and again, because the waiting may begin after the first.
	require.Eventually(t, func() bool {
		later.Add(int64(lonelyAfter))
		return stderr.contains("no worker is running: start one")
	}, time.Minute, watchEvery)
	interrupt()
	require.Equal(t, exitInterrupted, <-ended)
	id := b.latest(t)
	require.True(t, stderr.contains(fmt.Sprintf("run %s goes on: watch it with quantbot ohlcv runs-watch %s, or end it with runs-cancel", id, id)))
	require.True(t, running())

	cancelled := b.ok(t, "ohlcv", "runs-cancel", id)
	require.Contains(t, cancelled.stdout, "cancelled")
	watched := b.run(t, "ohlcv", "runs-watch", id)
	require.Equal(t, exitRunFailed, watched.code)
	require.Equal(t, "quantbot: run "+id+" cancelled\n", watched.stderr)
}

func TestAnInterruptedLocalRunNamesItsDirectory(t *testing.T) {
	t.Parallel()
	id := uuid.New()
	text := (&app{localDir: "d"}).interrupted(id).Error()
	require.Equal(t, fmt.Sprintf("interrupted; go on with run %[1]s: quantbot --local=d ohlcv runs-watch %[1]s, or end it with quantbot --local=d ohlcv runs-cancel %[1]s", id), text)
}
