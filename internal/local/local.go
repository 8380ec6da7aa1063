package local

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gofrs/flock"
)

// Options say which engines to use.
type Options struct {
	// Dir holds the engines' data and state; it is created.
	Dir string
	// Library is the path of libchdb.so; empty = look in the usual places.
	Library string
	Logger  *slog.Logger
}

// Engines are running engines that this process uses. They go on running until the last user has called Stop or died.
type Engines struct {
	dir   string
	users *flock.Flock
	state state
}

// state is what the keeper writes for its users, in engines.json.
type state struct {
	RedisPort      int    `json:"redis_port"`
	ClickHousePort int    `json:"clickhouse_port"`
	HTTPPort       int    `json:"clickhouse_http_port"`
	KeeperPID      int    `json:"keeper_pid"`
	RedisPID       int    `json:"redis_pid"` // 0 when Redis is the keeper's own miniredis
	ClickHousePID  int    `json:"clickhouse_pid"`
	Redis          string `json:"redis"`
	ClickHouse     string `json:"clickhouse"`
	// The passwords of this start. The file is readable by its owner alone.
	RedisPassword      string `json:"redis_password"`
	ClickHousePassword string `json:"clickhouse_password"`
	// Error is set instead of everything else when the engines could not be started.
	Error string `json:"error,omitempty"`
}

const (
	stateFile  = "engines.json"
	usersFile  = "users.lock"
	keeperFile = "keeper.lock"
	startFile  = "start.lock"
	logFile    = "keeper.log"
)

// lockPoll is how often locks and the state file are looked at.
const lockPoll = 25 * time.Millisecond

// Start starts the engines of the directory, or joins them when they run, and returns once both answer.
func Start(ctx context.Context, o Options) (*Engines, error) {
	dir, err := filepath.Abs(o.Dir)
	if err != nil {
		return nil, fmt.Errorf("find %s: %w", o.Dir, err)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("create the engines' directory: %w", err)
	}
	if err := refuseSharedDirectory(dir); err != nil {
		return nil, err
	}
	e := &Engines{dir: dir, users: flock.New(filepath.Join(dir, usersFile))}
	if _, err := e.users.TryRLockContext(ctx, lockPoll); err != nil {
		return nil, fmt.Errorf("lock %s (waiting for engines that stop): %w", dir, err)
	}
	if err := e.join(ctx, o); err != nil {
		return nil, errors.Join(err, e.users.Unlock())
	}
	return e, nil
}

// join makes sure that a keeper runs and reads where its engines listen.
func (e *Engines) join(ctx context.Context, o Options) error {
	starting := flock.New(filepath.Join(e.dir, startFile))
	if _, err := starting.TryLockContext(ctx, lockPoll); err != nil {
		return fmt.Errorf("lock %s (waiting for engines that start): %w", e.dir, err)
	}
	defer func() { _ = starting.Unlock() }() // closing the file unlocks it in any case
	kept, err := e.kept()
	if err != nil {
		return err
	}
	var keeper *exec.Cmd
	if !kept {
		if keeper, err = e.startKeeper(o); err != nil {
			return err
		}
	}
	return e.awaitState(ctx, keeper)
}

// kept reports whether a keeper runs.
func (e *Engines) kept() (bool, error) {
	keeper := flock.New(filepath.Join(e.dir, keeperFile))
	free, err := keeper.TryLock()
	if err != nil {
		return false, fmt.Errorf("look for running engines: %w", err)
	}
	if !free {
		return true, nil
	}
	return false, keeper.Unlock()
}

func (e *Engines) startKeeper(o Options) (*exec.Cmd, error) {
	if err := os.Remove(filepath.Join(e.dir, stateFile)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("remove the state of earlier engines: %w", err)
	}
	library, err := chooseClickHouse(o.Library)
	if err != nil {
		return nil, err
	}
	program, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find the own program: %w", err)
	}
	log, err := os.OpenFile(filepath.Join(e.dir, logFile), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the keeper's log: %w", err)
	}
	defer log.Close()
	keeper := exec.Command(program)
	keeper.Env = append(Environment(), roleVariable+"="+roleKeeper, dirVariable+"="+e.dir, libraryVariable+"="+library)
	keeper.Dir = e.dir
	keeper.Stdout, keeper.Stderr = log, log
	keeper.SysProcAttr = ownSession()
	if err := keeper.Start(); err != nil {
		return nil, fmt.Errorf("start the keeper of the local engines: %w", err)
	}
	return keeper, nil
}

// awaitState waits until the keeper has written where the engines listen, or ends.
func (e *Engines) awaitState(ctx context.Context, keeper *exec.Cmd) error {
	ended := make(chan error, 1)
	if keeper != nil {
		// The keeper usually outlives this process; when it does not, it is waited for so that no zombie stays.
		go func() { ended <- keeper.Wait() }()
	}
	ticker := time.NewTicker(lockPoll)
	defer ticker.Stop()
	for {
		found, err := e.readState()
		if err != nil {
			return err
		}
		if found {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for the local engines (log: %s): %w", filepath.Join(e.dir, logFile), ctx.Err())
		case waitErr := <-ended:
			if found, err := e.readState(); found || err != nil {
				return err
			}
			return fmt.Errorf("the keeper of the local engines ended:\n%s\n%w", tail(filepath.Join(e.dir, logFile)), cmp.Or(waitErr, errEnded))
		case <-ticker.C:
		}
	}
}

func (e *Engines) readState() (found bool, err error) {
	data, err := os.ReadFile(filepath.Join(e.dir, stateFile))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("read the engines' state: %w", err)
	}
	if err := json.Unmarshal(data, &e.state); err != nil {
		return false, fmt.Errorf("read the engines' state: %w", err)
	}
	if e.state.Error != "" {
		return false, errors.New(e.state.Error)
	}
	if e.state.RedisPassword == "" || e.state.ClickHousePassword == "" {
		return false, fmt.Errorf("the engines in %s were started by an older program, without passwords: end what uses them, then try again", e.dir)
	}
	return true, nil
}

// Stop lets go of the engines. The last user's Stop returns when they have ended, with all data on disk.
func (e *Engines) Stop(ctx context.Context) error {
	if err := e.users.Unlock(); err != nil {
		return fmt.Errorf("let go of the local engines: %w", err)
	}
	// The keeper is gone when its lock is free; it stays when others use the engines, which they show by their lock.
	ticker := time.NewTicker(lockPoll)
	defer ticker.Stop()
	for {
		kept, err := e.kept()
		if err != nil || !kept {
			return err
		}
		if others, err := e.usedByOthers(); err != nil || others {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for the local engines to stop: %w", ctx.Err())
		case <-ticker.C:
		}
	}
}

// usedByOthers distinguishes other users, who share the lock, from the stopping keeper, who does not.
func (e *Engines) usedByOthers() (bool, error) {
	probe := flock.New(filepath.Join(e.dir, usersFile))
	free, err := probe.TryLock()
	if err == nil && free {
		return false, probe.Unlock()
	}
	shared, err := probe.TryRLock()
	if err != nil {
		return false, fmt.Errorf("look for other users of the local engines: %w", err)
	}
	if shared {
		return true, probe.Unlock()
	}
	return false, nil
}

// Vars are the environment variables by which quantbot's programs find the engines.
func (e *Engines) Vars() map[string]string {
	return map[string]string{
		"REDIS_URL":            "redis://:" + e.state.RedisPassword + "@127.0.0.1:" + strconv.Itoa(e.state.RedisPort) + "/0",
		"CLICKHOUSE_HOST":      "127.0.0.1",
		"CLICKHOUSE_PORT":      strconv.Itoa(e.state.ClickHousePort),
		"CLICKHOUSE_HTTP_PORT": strconv.Itoa(e.state.HTTPPort),
		"CLICKHOUSE_DATABASE":  "quantbot",
		"CLICKHOUSE_USER":      clickhouseUser,
		"CLICKHOUSE_PASSWORD":  e.state.ClickHousePassword,
	}
}

// Dir is the directory of the engines.
func (e *Engines) Dir() string { return e.dir }

// PIDs are the processes of the keeper, Redis (0 for miniredis) and ClickHouse as they were when this process joined.
func (e *Engines) PIDs() []int {
	return []int{e.state.KeeperPID, e.state.RedisPID, e.state.ClickHousePID}
}

// Describe names the engines for people, for example "redis-server on 127.0.0.1:6381, libchdb on 127.0.0.1:9011".
func (e *Engines) Describe() string {
	return fmt.Sprintf("%s on 127.0.0.1:%d, ClickHouse (%s) on 127.0.0.1:%d",
		e.state.Redis, e.state.RedisPort, e.state.ClickHouse, e.state.ClickHousePort)
}

// WriteEnvFile writes Vars as KEY=value lines, atomically: a reader sees all of them or no file. They hold the passwords,
// so the file is readable by its owner alone.
func (e *Engines) WriteEnvFile(path string, more map[string]string) error {
	vars := e.Vars()
	for name, value := range more {
		vars[name] = value
	}
	lines := make([]string, 0, len(vars))
	for name, value := range vars {
		lines = append(lines, name+"="+value+"\n")
	}
	slices.Sort(lines)
	if err := writeAtomically(path, []byte(strings.Join(lines, ""))); err != nil {
		return fmt.Errorf("write the environment file: %w", err)
	}
	return nil
}

// writeAtomically leaves a file that its owner alone can read.
func writeAtomically(path string, data []byte) error {
	temporary, err := os.CreateTemp(filepath.Dir(path), ".tmp-*")
	if err != nil {
		return err
	}
	_, err = temporary.Write(data)
	err = errors.Join(err, temporary.Close())
	if err == nil {
		err = os.Rename(temporary.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(temporary.Name()))
	}
	return nil
}

// tail returns the end of a log, for an error that a person reads.
func tail(path string) string {
	const most = 2_000
	data, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	if len(data) > most {
		data = data[len(data)-most:]
	}
	return strings.TrimSpace(string(data))
}
