package local_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"quantbot/internal/local"
	"quantbot/internal/local/localtest"
)

// TestMain also lets the test binary be a user of the engines that a test can kill.
func TestMain(m *testing.M) {
	local.RunChild()
	if target := os.Getenv("TEST_NEIGHBOUR"); target != "" {
		trespass(target)
		os.Exit(0)
	}
	if dir := os.Getenv("TEST_ENGINES_USER"); dir != "" {
		if _, err := local.Start(context.Background(), local.Options{Dir: dir}); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		fmt.Println("ready")
		select {}
	}
	localtest.Main(m)
}

func startEngines(t *testing.T, dir string) *local.Engines {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	e, err := local.Start(ctx, local.Options{Dir: dir})
	require.NoError(t, err)
	return e
}

func stopEngines(t *testing.T, e *local.Engines) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	require.NoError(t, e.Stop(ctx))
}

// gone waits until none of the processes is there any more.
func gone(t *testing.T, pids ...int) {
	t.Helper()
	require.Eventually(t, func() bool {
		for _, pid := range pids {
			if pid != 0 && alive(pid) {
				return false
			}
		}
		return true
	}, 2*time.Minute, 20*time.Millisecond, "processes %v are still there", pids)
}

// alive is false for zombies, which wait for a parent that does not ask, but run no more.
func alive(pid int) bool {
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return false
	}
	_, rest, _ := strings.Cut(string(stat), ") ")
	return !strings.HasPrefix(rest, "Z")
}

func TestDataOutlivesTheEngines(t *testing.T) {
	t.Parallel()
	env := localtest.NewOwn(t)
	env.ClickHouse(t, "CREATE TABLE "+env.Database+".x (a UInt64) ENGINE=MergeTree ORDER BY a")
	env.ClickHouse(t, "INSERT INTO "+env.Database+".x SELECT number FROM numbers(12345)")
	env.Redis(t, "SET a 42")
	dir, pids := env.Engines.Dir(), env.Engines.PIDs()
	stopEngines(t, env.Engines)
	gone(t, pids...)

	again := startEngines(t, dir)
	t.Cleanup(func() { stopEngines(t, again) })
	env.Attach(t, again)
	require.Equal(t, "12345\n", env.ClickHouse(t, "SELECT count() FROM "+env.Database+".x"))
	require.Equal(t, "$2", env.Redis(t, "GET a"))
}

func TestSecondUserJoinsAndOutlivesTheFirst(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	first := startEngines(t, dir)
	second := startEngines(t, dir)
	require.Equal(t, first.PIDs(), second.PIDs())
	stopEngines(t, first)
	for _, pid := range second.PIDs() {
		require.True(t, alive(pid), "process %d", pid)
	}
	stopEngines(t, second)
	gone(t, second.PIDs()...)
}

func TestStartsAtOnceShareOnePair(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var users [4]*local.Engines
	var starting sync.WaitGroup
	for i := range users {
		starting.Go(func() {
			ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
			defer cancel()
			users[i], _ = local.Start(ctx, local.Options{Dir: dir})
		})
	}
	starting.Wait()
	for _, user := range users {
		require.NotNil(t, user)
		require.Equal(t, users[0].PIDs(), user.PIDs())
	}
	for _, user := range users {
		stopEngines(t, user)
	}
	gone(t, users[0].PIDs()...)
}

func TestKilledUserLeavesNothingBehind(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	user := exec.Command(os.Args[0])
	user.Env = append(os.Environ(), "TEST_ENGINES_USER="+dir)
	out, err := user.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, user.Start())
	line := make([]byte, 6)
	_, err = out.Read(line)
	require.NoError(t, err)
	require.Equal(t, "ready\n", string(line))
	watcher := startEngines(t, dir)
	pids := watcher.PIDs()
	stopEngines(t, watcher)

	require.NoError(t, user.Process.Kill())
	_ = user.Wait()
	gone(t, pids...)
}

func TestKilledKeeperLeavesNothingBehindAndTheNextStartWorks(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	first := startEngines(t, dir)
	pids := first.PIDs()
	require.NoError(t, syscall.Kill(pids[0], syscall.SIGKILL))
	gone(t, pids...)
	stopEngines(t, first)
	second := startEngines(t, dir)
	stopEngines(t, second)
	gone(t, second.PIDs()...)
}

func TestDeadEnginesComeBackOnTheirPortsWithTheirData(t *testing.T) {
	t.Parallel()
	env := localtest.NewOwn(t)
	env.ClickHouse(t, "CREATE TABLE "+env.Database+".x (a UInt64) ENGINE=MergeTree ORDER BY a")
	env.ClickHouse(t, "INSERT INTO "+env.Database+".x SELECT number FROM numbers(12345)")
	for _, pid := range env.Engines.PIDs()[1:] {
		require.NoError(t, syscall.Kill(pid, syscall.SIGKILL))
	}
	require.Eventually(t, func() bool {
		count, err := env.TryClickHouse("SELECT count() FROM " + env.Database + ".x")
		return err == nil && count == "12345\n"
	}, time.Minute, 20*time.Millisecond)
	require.Eventually(t, func() bool { // it listens before it has read its data
		answer, err := env.TryRedis("PING")
		return err == nil && answer == "+PONG"
	}, 2*time.Minute, 20*time.Millisecond)
}

// A reset connection once ended the engine: its standard input was no terminal then.
func TestBadTrafficDoesNotEndTheEngine(t *testing.T) {
	t.Parallel()
	env := localtest.NewOwn(t)
	pid := env.Engines.PIDs()[2]
	for _, port := range []int{env.NativePort, env.HTTPPort} {
		for i := range 50 {
			conn, err := net.Dial("tcp", net.JoinHostPort(env.Host, strconv.Itoa(port)))
			require.NoError(t, err)
			if i%2 == 0 {
				_, _ = conn.Write([]byte("\x00garbage\xff\r\n\r\n"))
			}
			require.NoError(t, conn.(*net.TCPConn).SetLinger(0))
			require.NoError(t, conn.Close())
		}
	}
	require.Equal(t, "1\n", env.ClickHouse(t, "SELECT 1"))
	require.True(t, alive(pid), "the engine was restarted")
}

func TestEnvFileHoldsEverything(t *testing.T) {
	t.Parallel()
	env := localtest.New(t)
	path := filepath.Join(t.TempDir(), "env")
	require.NoError(t, env.Engines.WriteEnvFile(path, map[string]string{"BIRDEYE_BASE_URL": "http://127.0.0.1:1"}))
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	for _, name := range []string{"REDIS_URL=redis://:", "CLICKHOUSE_HOST=127.0.0.1", "CLICKHOUSE_PORT=",
		"CLICKHOUSE_HTTP_PORT=", "CLICKHOUSE_DATABASE=quantbot", "CLICKHOUSE_USER=quantbot", "CLICKHOUSE_PASSWORD=", "BIRDEYE_BASE_URL="} {
		require.Contains(t, string(data), name)
	}
	require.Error(t, env.Engines.WriteEnvFile(filepath.Join(t.TempDir(), "no", "such", "dir"), nil))
}

func TestStartSaysWhenThereIsNoEngine(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	_, err := local.Start(ctx, local.Options{Dir: t.TempDir(), Library: "/no/such/libchdb.so"})
	require.ErrorContains(t, err, "find libchdb")
	require.NotErrorIs(t, err, context.DeadlineExceeded)
}
