package localtest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"quantbot/internal/local"
)

// redisTimeout bounds every start and every wait of a Redis that a test has to itself, on a busy machine.
const redisTimeout = 60 * time.Second

// RedisProcess is a redis-server, sentinel or node of the test's own.
type RedisProcess struct {
	Addr string
	Port int
	// Dir has its files, among them redis.log.
	Dir string
	cmd *exec.Cmd
	// admin may do everything, whatever users the test has made.
	admin *redis.Client
}

// adminPassword is that of the user by which tests look after their servers.
const adminPassword = "localtest"

// StartRedis starts a server on a free port of loopback with settings such as "--requirepass", "x". A test whose machine
// has no redis-server fails: sentinels and clusters cannot be had otherwise.
func StartRedis(t testing.TB, settings ...string) *RedisProcess {
	t.Helper()
	return startRedis(t, "", settings...)
}

// startRedis starts a server; a configuration is what a sentinel cannot do without.
func startRedis(t testing.TB, configuration string, settings ...string) *RedisProcess {
	t.Helper()
	dir, err := os.MkdirTemp("", "quantbot-redis-") //nolint:usetesting // a killed server may leave a child that still writes
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	p := launchRedis(t, dir, configuration, settings...)
	t.Cleanup(p.close)
	p.await(t, "it does not answer", func(ctx context.Context) error { return p.admin.Ping(ctx).Err() })
	return p
}

// launchRedis starts a server that outlives the test, and does not wait until it answers.
func launchRedis(t testing.TB, dir, configuration string, settings ...string) *RedisProcess {
	t.Helper()
	path, err := exec.LookPath("redis-server")
	if err != nil {
		t.Fatalf("this test needs redis-server on the PATH: %v", err)
	}
	p := &RedisProcess{Port: FreePort(t), Dir: dir}
	p.Addr = net.JoinHostPort("127.0.0.1", strconv.Itoa(p.Port))
	file := filepath.Join(dir, "redis.conf")
	lines := fmt.Sprintf("bind 127.0.0.1\nport %d\ndir %s\nlogfile %s\nuser admin on >%s ~* &* +@all\n%s", p.Port, dir, filepath.Join(dir, "redis.log"), adminPassword, configuration)
	if err := os.WriteFile(file, []byte(lines), 0o600); err != nil {
		t.Fatal(err)
	}
	p.cmd = exec.Command(path, append([]string{file}, settings...)...)
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p.admin = redis.NewClient(&redis.Options{Addr: p.Addr, Username: "admin", Password: adminPassword, MaxRetries: -1, DialerRetries: 1})
	return p
}

func (p *RedisProcess) close() {
	_ = p.admin.Close()
	p.Kill()
}

// NewRedis returns the URL of a Redis database of the test's own, for packages that need no ClickHouse. The server has the
// settings of the local one, and is shared by the tests of one binary, which call Main from TestMain.
func NewRedis(t testing.TB) string {
	t.Helper()
	if shared.dir == nil {
		t.Fatal("localtest.Main must be called from TestMain")
	}
	shared.redisOnce.Do(func() { shared.redis = launchRedis(t, shared.dir.path, "", local.RedisSettings()...) })
	if shared.redis == nil {
		t.Fatal("the shared Redis could not be started: see the test that tried")
	}
	shared.redis.await(t, "it does not answer", func(ctx context.Context) error { return shared.redis.admin.Ping(ctx).Err() })
	return fmt.Sprintf("redis://admin:%s@%s/%d", adminPassword, shared.redis.Addr, shared.nextDB.Add(1))
}

// FreePort is a port of loopback that nobody uses at the moment.
func FreePort(t testing.TB) int {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	_, port, err := net.SplitHostPort(listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return number(t, port)
}

// Kill ends the server at once; its connections are refused from then on.
func (p *RedisProcess) Kill() {
	_ = p.cmd.Process.Signal(syscall.SIGCONT) // it may have ended, and a stopped process takes its end only then
	_ = p.cmd.Process.Kill()
	_ = p.cmd.Wait()
}

// Stop makes the server stand still: it accepts connections and sends nothing. It goes on with Continue.
func (p *RedisProcess) Stop() { _ = p.cmd.Process.Signal(syscall.SIGSTOP) }

// Continue ends Stop.
func (p *RedisProcess) Continue() { _ = p.cmd.Process.Signal(syscall.SIGCONT) }

// Do sends one command as a user who may do everything.
func (p *RedisProcess) Do(t testing.TB, args ...any) any {
	t.Helper()
	value, err := p.admin.Do(context.Background(), args...).Result()
	if err != nil {
		t.Fatalf("redis at %s refuses %v: %v", p.Addr, args, err)
	}
	return value
}

// await waits until the check succeeds.
func (p *RedisProcess) await(t testing.TB, trouble string, check func(context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), redisTimeout)
	defer cancel()
	for {
		err := check(ctx)
		if err == nil {
			return
		}
		select {
		case <-ctx.Done():
			log, _ := os.ReadFile(filepath.Join(p.Dir, "redis.log"))
			t.Fatalf("redis at %s: %s: %v\n%s", p.Addr, trouble, err, log)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// AwaitLine waits until what a command says, such as INFO, contains the line.
func (p *RedisProcess) AwaitLine(t testing.TB, line string, command ...any) {
	t.Helper()
	p.await(t, "it does not say "+line, func(ctx context.Context) error {
		text, err := p.admin.Do(ctx, command...).Text()
		if err == nil && !strings.Contains(text, line) {
			err = errors.New(text)
		}
		return err
	})
}

// RedisSentinels are a primary with a replica and three sentinels who watch them.
type RedisSentinels struct {
	Primary, Replica *RedisProcess
	Sentinels        []*RedisProcess
}

// SentinelMaster is the name of the primary.
const SentinelMaster = "quant"

// StartSentinels starts a primary, a replica and three sentinels that give up a primary after half a second. The settings are
// those of the servers.
func StartSentinels(t testing.TB, settings ...string) *RedisSentinels {
	t.Helper()
	s := &RedisSentinels{}
	settings = append(settings, "--masteruser", "admin", "--masterauth", adminPassword, "--repl-diskless-sync-delay", "0")
	s.Primary = StartRedis(t, settings...)
	s.Replica = StartRedis(t, append(settings, "--replicaof", "127.0.0.1", strconv.Itoa(s.Primary.Port))...)
	s.Replica.AwaitLine(t, "master_link_status:up", "INFO", "replication")
	for range 3 {
		s.Sentinels = append(s.Sentinels, StartSentinel(t, s.Primary, 2))
	}
	for _, sentinel := range s.Sentinels {
		sentinel.AwaitLine(t, "slaves=1,sentinels=3", "INFO", "sentinel")
	}
	return s
}

// StartSentinel starts one sentinel. Clients log in as the user watch with the password seen, and not without.
func StartSentinel(t testing.TB, primary *RedisProcess, quorum int, settings ...string) *RedisProcess {
	t.Helper()
	return startRedis(t, fmt.Sprintf(`sentinel monitor %[1]s 127.0.0.1 %[2]d %[3]d
sentinel auth-user %[1]s admin
sentinel auth-pass %[1]s %[4]s
sentinel down-after-milliseconds %[1]s 500
sentinel failover-timeout %[1]s 3000
sentinel sentinel-user admin
sentinel sentinel-pass %[4]s
user watch on >seen ~* &* +@all
user default off
`, SentinelMaster, primary.Port, quorum, adminPassword), append([]string{"--sentinel"}, settings...)...)
}

// RedisCluster is three primaries, of which the first has a replica.
type RedisCluster struct {
	Primaries []*RedisProcess
	Replica   *RedisProcess
}

// clusterSlots are the first and last hash slots of the primaries. The one that can be replaced has most of them: asynq's queues of
// chunks among them (slot 6899 and on), but not its list of queues (3477).
var clusterSlots = [][2]int{{6000, 16383}, {0, 2999}, {3000, 5999}}

// StartCluster starts a cluster that gives up a node after half a second. The settings are those of its nodes.
func StartCluster(t testing.TB, settings ...string) *RedisCluster {
	t.Helper()
	node := func() *RedisProcess {
		return StartRedis(t, append([]string{
			"--cluster-enabled", "yes", "--cluster-node-timeout", "500", "--cluster-port", strconv.Itoa(FreePort(t)), "--cluster-allow-replica-migration", "no",
			"--masteruser", "admin", "--masterauth", adminPassword, "--repl-diskless-sync-delay", "0",
		}, settings...)...)
	}
	c := &RedisCluster{Primaries: []*RedisProcess{node(), node(), node()}, Replica: node()}
	first := c.Primaries[0]
	for i, p := range c.Primaries {
		p.Do(t, "CLUSTER", "SET-CONFIG-EPOCH", i+1)
		p.Do(t, "CLUSTER", "ADDSLOTSRANGE", clusterSlots[i][0], clusterSlots[i][1])
	}
	nodes := append(c.Primaries[1:len(c.Primaries):len(c.Primaries)], c.Replica)
	for _, p := range nodes {
		p.Do(t, "CLUSTER", "MEET", "127.0.0.1", first.Port, clusterPort(t, first))
	}
	for _, p := range append(nodes, first) {
		p.AwaitLine(t, "cluster_known_nodes:4", "CLUSTER", "INFO")
		p.AwaitLine(t, "cluster_state:ok", "CLUSTER", "INFO")
	}
	c.Replica.Do(t, "CLUSTER", "REPLICATE", first.Do(t, "CLUSTER", "MYID"))
	c.Replica.AwaitLine(t, "master_link_status:up", "INFO", "replication")
	for _, p := range c.Primaries {
		p.AwaitLine(t, "slave", "CLUSTER", "NODES")
	}
	return c
}

func clusterPort(t testing.TB, p *RedisProcess) any {
	t.Helper()
	settings, err := p.admin.ConfigGet(context.Background(), "cluster-port").Result()
	if err != nil {
		t.Fatal(err)
	}
	return settings["cluster-port"]
}
