package cli

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	driver "github.com/ClickHouse/clickhouse-go/v2"
	"github.com/stretchr/testify/require"

	"quantbot/internal/candle"
	"quantbot/internal/simmarket"
)

// runbookSQL reads the statements for backing up and restoring, pointed at the test's database. The copy is kept in the
// memory of one session of the server: this machine has no bucket.
func runbookSQL(t *testing.T, database string) (backUp, restore []string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "operations.md"))
	require.NoError(t, err)
	bucket := regexp.MustCompile(`S3\([^)]*\)`)
	for _, block := range regexp.MustCompile("(?s)```sql\n(.*?)```").FindAllStringSubmatch(string(text), -1) {
		statements := strings.Split(strings.TrimSuffix(strings.TrimSpace(block[1]), ";"), ";\n")
		for i, s := range statements {
			statements[i] = bucket.ReplaceAllString(strings.Replace(s, "DATABASE quantbot", "DATABASE "+database, 1), "Memory('"+database+"')")
		}
		if strings.HasPrefix(block[1], "BACKUP") {
			backUp = statements
		} else {
			restore = statements
		}
	}
	require.Len(t, backUp, 1)
	require.Len(t, restore, 2)
	return backUp, restore
}

// The runbook's way back from a lost database: what the backup has is served, a run that was under way goes on, and a run
// that came later is fetched again.
func TestTheRunbooksBackupBringsTheHistoryBack(t *testing.T) {
	t.Parallel()
	h := setup(t, simmarket.Options{Latency: 200 * time.Millisecond})
	backUp, restore := runbookSQL(t, h.env.Database)
	server, err := driver.Open(&driver.Options{
		Addr: []string{fmt.Sprintf("%s:%d", h.env.Host, h.env.NativePort)}, MaxOpenConns: 1, MaxIdleConns: 1,
		Auth: driver.Auth{Username: h.env.User, Password: h.env.Password},
	})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, server.Close()) })
	execute := func(statements []string) {
		for _, statement := range statements {
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			require.NoError(t, server.Exec(ctx, statement), statement)
			cancel()
		}
	}
	tokens := simmarket.Tokens(16)
	input := func(n int, day string) []string {
		from := unix(t, day+"T00:00:00Z")
		return []string{"ingestion", "ohlcv", "--tokens", writeTokens(t, tokens[:n]), "--from", day, "--to", candle.FormatTime(from + 86_400), "--format", "json"}
	}
	launched := func(args []string) string { return fmt.Sprint(row(t, h.ok(t, args...).stdout)["run_id"]) }
	outcomes := func(id string) int64 {
		return h.number(t, "SELECT count() FROM "+h.table("ohlcv_ingestion_tasks")+" FINAL WHERE run_id = '"+id+"' AND status = 'success'")
	}
	stop := func(worker *exec.Cmd) {
		require.NoError(t, worker.Process.Signal(syscall.SIGTERM))
		_ = worker.Wait() // waited for again at the end of the test
	}

	worker := h.worker(t)
	h.ok(t, append(input(4, "2025-03-01"), "--wait")...)
	halfway := launched(input(16, "2025-03-02"))
	require.Eventually(t, func() bool { return outcomes(halfway) > 0 }, time.Minute, 5*time.Millisecond)
	stop(worker)
	done := outcomes(halfway)
	require.Less(t, done, int64(16), "the backup is made in the middle of it")
	execute(backUp)

	worker = h.worker(t)
	h.ok(t, "ohlcv", "runs-watch", halfway)
	later := input(4, "2025-03-03")
	lost := fmt.Sprint(row(t, h.ok(t, append(later, "--wait")...).stdout)["run_id"])
	stop(worker)
	served, asked := h.hash(t), h.market.Stats().Requests

	execute(restore)
	h.env.Redis(t, "FLUSHDB")
	require.Equal(t, done, outcomes(halfway))
	require.Equal(t, exitFailed, h.run(t, "ohlcv", "runs-details", lost).code, "it came after the backup")
	h.worker(t)
	h.ok(t, "ohlcv", "runs-watch", halfway)
	details := row(t, h.ok(t, "ohlcv", "runs-details", halfway, "--format", "json").stdout)
	day := candle.Range{From: unix(t, "2025-03-02T00:00:00Z"), To: unix(t, "2025-03-03T00:00:00Z")}
	require.EqualValues(t, truth(simmarket.NewMarket(1), tokens, day), details["candles_inserted"], details)
	require.Equal(t, asked+16-done, h.market.Stats().Requests, "what the backup has is not fetched again")
	again := row(t, h.ok(t, append(later, "--wait")...).stdout)
	require.NotEqual(t, lost, again["run_id"])
	require.Equal(t, served, h.hash(t))
}
