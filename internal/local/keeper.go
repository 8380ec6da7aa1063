package local

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/gofrs/flock"
)

// keeperPoll is how soon the keeper notices that its last user has left.
const keeperPoll = 100 * time.Millisecond

// keeper owns the engines of one directory.
type keeper struct {
	dir        string
	logger     *slog.Logger
	redis      *redisEngine
	clickhouse *clickhouseEngine
}

// keep starts the engines, keeps them running while they have users, and stops them.
func keep(dir, library string, logger *slog.Logger) error {
	lock := flock.New(filepath.Join(dir, keeperFile))
	if free, err := lock.TryLock(); err != nil || !free {
		return errors.Join(err, errors.New("another keeper has this directory"))
	}
	users := flock.New(filepath.Join(dir, usersFile))
	// Both are held until the engines have ended. A lock that nothing refers to any more is lost: the collector closes its file.
	defer func() { _ = errors.Join(users.Unlock(), lock.Unlock()) }() // the end of the process unlocks them in any case
	k := &keeper{dir: dir, logger: logger}
	if err := k.start(library); err != nil {
		k.stop()
		return errors.Join(err, k.publish(state{Error: err.Error()}))
	}
	err := k.serve(users)
	k.stop()
	return err
}

func (k *keeper) start(library string) error {
	var err error
	if k.redis, err = startRedis(k.dir, k.logger); err != nil {
		return err
	}
	if k.clickhouse, err = startClickHouse(k.dir, library); err != nil {
		return err
	}
	return k.publishRunning()
}

func (k *keeper) publishRunning() error {
	return k.publish(state{
		RedisPassword: k.redis.password, ClickHousePassword: k.clickhouse.password,
		RedisPort: k.redis.port, ClickHousePort: k.clickhouse.port, HTTPPort: k.clickhouse.httpPort,
		KeeperPID: os.Getpid(), RedisPID: k.redis.pid(), ClickHousePID: k.clickhouse.child.pid(),
		Redis: k.redis.name, ClickHouse: k.clickhouse.name,
	})
}

func (k *keeper) publish(s state) error {
	data, err := json.Marshal(s)
	if err == nil {
		err = writeAtomically(filepath.Join(k.dir, stateFile), data)
	}
	if err != nil {
		return fmt.Errorf("publish the engines' state: %w", err)
	}
	return nil
}

// serve returns when the last user has left; it holds the users' lock then.
func (k *keeper) serve(users *flock.Flock) error {
	stopping := make(chan os.Signal, 1)
	signal.Notify(stopping, syscall.SIGTERM)
	signal.Ignore(syscall.SIGINT, syscall.SIGHUP)
	ticker := time.NewTicker(keeperPoll)
	defer ticker.Stop()
	for {
		select {
		case <-stopping:
			return nil
		case <-ticker.C:
			if free, err := users.TryLock(); err != nil || free {
				return err
			}
		case <-k.redis.died():
			k.logger.Warn("redis died, starting it again", "err", k.redis.child.err)
			if err := errors.Join(k.redis.start(k.redis.child.cmd.Path), k.publishRunning()); err != nil {
				return err
			}
		case <-k.clickhouse.child.ended:
			k.logger.Warn("clickhouse died, starting it again", "err", k.clickhouse.child.err)
			if err := errors.Join(k.clickhouse.restart(), k.publishRunning()); err != nil {
				return err
			}
		}
	}
}

func (k *keeper) stop() {
	if k.clickhouse != nil && k.clickhouse.child != nil {
		k.clickhouse.stop()
	}
	if k.redis != nil && (k.redis.child != nil || k.redis.inside != nil) {
		k.redis.stop()
	}
}
