// Package localtest gives tests real engines: one Redis and one ClickHouse per test binary, and in them a database of
// its own for each test, so that all of them run in parallel. A missing engine fails the test; it never skips it.
package localtest

import (
	"bufio"
	"context"
	"crypto/rand"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"quantbot/internal/local"
)

// startTimeout bounds the start of the engines; the library is half a gigabyte and may come from a cold disk.
const startTimeout = 2 * time.Minute

// engines are shared by the tests of one binary.
type engines struct {
	dir     *directory
	once    sync.Once
	running *local.Engines
	// redis is for tests that need nothing else.
	redisOnce sync.Once
	redis     *RedisProcess
	err       error
	// nextDB numbers Redis databases; 0 is left to whoever looks at the server by hand.
	nextDB atomic.Int64
}

var shared engines

// Main runs the tests of a package and stops the engines at the end. Call it from TestMain. The engines' data are in memory
// where possible, but on disk for benchmarks.
func Main(m *testing.M) {
	local.RunChild()
	flag.Parse()
	benchmarks := flag.Lookup("test.bench").Value.String()
	os.Exit(run(m, benchmarks != ""))
}

// MainOnDisk is Main for a package that measures what users have: engines with their data on disk.
func MainOnDisk(m *testing.M) {
	local.RunChild()
	os.Exit(run(m, true))
}

func run(m *testing.M, onDisk bool) int {
	dir, err := newDirectory(onDisk)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = dir.remove() }()
	shared.dir = dir
	code := m.Run()
	if shared.redis != nil {
		shared.redis.close()
	}
	if shared.running != nil {
		ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
		defer cancel()
		if err := shared.running.Stop(ctx); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
	}
	return code
}

// Env is one test's share of the engines.
type Env struct {
	RedisURL      string // with the test's own database
	RedisAddr     string
	RedisPassword string
	RedisDB       int

	Host       string
	NativePort int
	HTTPPort   int
	Database   string
	User       string
	Password   string

	Engines *local.Engines
}

// New gives the test a ClickHouse database and a Redis database of its own.
func New(t testing.TB) *Env {
	t.Helper()
	if shared.dir == nil {
		t.Fatal("localtest.Main must be called from TestMain")
	}
	shared.once.Do(func() { shared.running, shared.err = start(shared.dir.path) })
	if shared.err != nil {
		t.Fatalf("start the local engines: %v", shared.err)
	}
	e := newEnv(t, shared.running, int(shared.nextDB.Add(1)))
	t.Cleanup(func() { e.ClickHouse(t, "DROP DATABASE IF EXISTS "+e.Database+" SYNC") })
	return e
}

// NewOwn gives the test engines of its own, which it may kill and restart.
func NewOwn(t testing.TB) *Env {
	t.Helper()
	running, err := start(Directory(t))
	if err != nil {
		t.Fatalf("start the local engines: %v", err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
		defer cancel()
		if err := running.Stop(ctx); err != nil {
			t.Errorf("stop the local engines: %v", err)
		}
	})
	return newEnv(t, running, 1)
}

func start(dir string) (*local.Engines, error) {
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	return local.Start(ctx, local.Options{Dir: dir})
}

func newEnv(t testing.TB, running *local.Engines, db int) *Env {
	t.Helper()
	e := &Env{RedisDB: db, Database: "t_" + strings.ToLower(rand.Text()[:16])}
	e.Attach(t, running)
	e.Redis(t, "FLUSHDB")
	e.ClickHouse(t, "CREATE DATABASE "+e.Database)
	return e
}

// Attach lets the test go on with engines that were started again on the same data.
func (e *Env) Attach(t testing.TB, running *local.Engines) {
	t.Helper()
	vars := running.Vars()
	redis, err := url.Parse(vars["REDIS_URL"])
	if err != nil {
		t.Fatal(err)
	}
	e.Engines = running
	e.RedisAddr = redis.Host
	e.RedisPassword, _ = redis.User.Password()
	redis.Path = strconv.Itoa(e.RedisDB)
	e.RedisURL = redis.String()
	e.Host, e.NativePort, e.HTTPPort = vars["CLICKHOUSE_HOST"], number(t, vars["CLICKHOUSE_PORT"]), number(t, vars["CLICKHOUSE_HTTP_PORT"])
	e.User, e.Password = vars["CLICKHOUSE_USER"], vars["CLICKHOUSE_PASSWORD"]
}

func number(t testing.TB, s string) int {
	t.Helper()
	n, err := strconv.Atoi(s)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// Vars are the environment variables by which quantbot's programs find the test's databases.
func (e *Env) Vars() map[string]string {
	vars := e.Engines.Vars()
	vars["REDIS_URL"] = e.RedisURL
	vars["CLICKHOUSE_DATABASE"] = e.Database
	return vars
}

// Redis sends one command to the test's database and returns the first line of the answer.
func (e *Env) Redis(t testing.TB, command string) string {
	t.Helper()
	answer, err := e.TryRedis(command)
	if err != nil {
		t.Fatalf("ask Redis %q: %v", command, err)
	}
	return answer
}

// TryRedis is Redis for tests that expect the server to be away, or to read its data.
func (e *Env) TryRedis(command string) (string, error) {
	conn, err := net.DialTimeout("tcp", e.RedisAddr, 5*time.Second)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	if _, err := fmt.Fprintf(conn, "AUTH %s\r\nSELECT %d\r\n%s\r\n", e.RedisPassword, e.RedisDB, command); err != nil {
		return "", err
	}
	answers := bufio.NewReader(conn)
	var answer string
	for range 3 {
		if answer, err = answers.ReadString('\n'); err != nil {
			return "", err
		}
		if strings.HasPrefix(answer, "-") {
			return "", errors.New(strings.TrimSpace(answer))
		}
	}
	return strings.TrimSpace(answer), nil
}

// ClickHouse runs one query without a current database and returns its answer as text.
func (e *Env) ClickHouse(t testing.TB, query string) string {
	t.Helper()
	answer, err := e.TryClickHouse(query)
	if err != nil {
		t.Fatalf("ask ClickHouse %q: %v", query, err)
	}
	return answer
}

// TryClickHouse is ClickHouse for tests that expect the server to be away.
func (e *Env) TryClickHouse(query string) (string, error) {
	target := "http://" + net.JoinHostPort(e.Host, strconv.Itoa(e.HTTPPort)) + "/"
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, target, strings.NewReader(query))
	if err != nil {
		return "", err
	}
	request.SetBasicAuth(e.User, e.Password)
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Do(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", response.Status, answer)
	}
	return string(answer), err
}
