package local

import (
	"bufio"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/alicebob/miniredis/v2"
)

// redisEngine is the local Redis: a real server when one is installed, else miniredis inside the keeper.
type redisEngine struct {
	dir      string
	port     int
	name     string // of the program
	password string
	child    *child
	inside   *miniredis.Miniredis
}

// redisPrograms are looked for on the PATH, in this order.
var redisPrograms = []string{"redis-server", "valkey-server"}

func startRedis(dir string, logger *slog.Logger) (*redisEngine, error) {
	r := &redisEngine{dir: filepath.Join(dir, "redis"), password: newPassword()}
	if err := privateDirectory(r.dir); err != nil {
		return nil, fmt.Errorf("create Redis' directory: %w", err)
	}
	for _, program := range redisPrograms {
		path, err := exec.LookPath(program)
		if err != nil {
			continue
		}
		r.name = program
		return r, startOnFreePorts(1, func(ports []int) error {
			r.port = ports[0]
			return r.start(path)
		})
	}
	r.name = "miniredis"
	logger.Warn("no redis-server or valkey-server on the PATH: using miniredis, which is several times slower and forgets everything when it stops")
	r.inside = miniredis.NewMiniRedis()
	r.inside.RequireAuth(r.password)
	if err := r.inside.StartAddr("127.0.0.1:0"); err != nil {
		return nil, fmt.Errorf("start miniredis: %w", err)
	}
	port, err := strconv.Atoi(r.inside.Port())
	r.port = port
	return r, err
}

// startOnFreePorts tries a few times: between choosing and using a port, somebody else may take it.
func startOnFreePorts(n int, start func(ports []int) error) error {
	var err error
	for range 5 {
		var ports []int
		if ports, err = freePorts(n); err != nil {
			return err
		}
		if err = start(ports); !errors.Is(err, errEnded) && !errors.Is(err, errPortTaken) {
			return err
		}
	}
	return err
}

// RedisSettings are those of the local Redis beside its address and its files. Databases are cheap and tests take one each.
func RedisSettings() []string {
	return []string{"--appendonly", "yes", "--appendfsync", "everysec", "--save", "", "--maxmemory-policy", "noeviction", "--databases", "4096"}
}

// start runs the server on r.port. The password goes in by standard input: everybody on the machine can read a command line.
func (r *redisEngine) start(path string) error {
	log := filepath.Join(r.dir, "redis.log")
	args := []string{"-", "--bind", "127.0.0.1", "--port", strconv.Itoa(r.port), "--dir", r.dir, "--logfile", log}
	cmd := exec.Command(path, append(args, RedisSettings()...)...)
	cmd.Env = Environment()
	cmd.Stdin = strings.NewReader("requirepass " + r.password + "\n")
	cmd.SysProcAttr = boundToParent(false)
	var err error
	if r.child, err = startBound(cmd); err != nil {
		return err
	}
	if err := r.child.await(engineStart, r.ping); err != nil {
		r.child.kill()
		return fmt.Errorf("start %s on port %d: %w\n%s", r.name, r.port, err, tail(log))
	}
	return nil
}

// died is nil for an engine inside the keeper: a nil channel never delivers.
func (r *redisEngine) died() <-chan struct{} {
	if r.child == nil {
		return nil
	}
	return r.child.ended
}

func (r *redisEngine) pid() int {
	if r.child == nil {
		return 0
	}
	return r.child.pid()
}

// stop lets the server write its append-only file and waits for it.
func (r *redisEngine) stop() {
	if r.inside != nil {
		r.inside.Close()
		return
	}
	_ = r.child.cmd.Process.Signal(syscall.SIGTERM) // it may have ended by itself
	select {
	case <-r.child.ended:
	case <-time.After(engineStop):
		r.child.kill()
	}
}

// ping succeeds once the server has loaded its data.
func (r *redisEngine) ping() error {
	conn, err := net.DialTimeout("tcp", "127.0.0.1:"+strconv.Itoa(r.port), time.Second)
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(time.Second)); err != nil {
		return err
	}
	if _, err := conn.Write([]byte("AUTH " + r.password + "\r\nPING\r\n")); err != nil {
		return err
	}
	replies := bufio.NewReader(conn)
	for _, want := range []string{"+OK", "+PONG"} {
		line, err := replies.ReadString('\n')
		if err != nil {
			return err
		}
		if !strings.HasPrefix(line, want) {
			return fmt.Errorf("redis returned %q", strings.TrimSpace(line))
		}
	}
	return nil
}
