package tasks

import (
	"context"
	"errors"
	"strings"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"
)

// withoutMemory makes clients for which a queue's memory is unknown, 0, where Redis does not report it. asynq asks for it whenever
// it looks at a queue and fails altogether when it is refused: by hosted services that forbid MEMORY, or because one id of the
// queue has no task.
type withoutMemory struct{ asynq.RedisConnOpt }

// WithoutMemory is conn for an inspector or a monitor.
func WithoutMemory(conn asynq.RedisConnOpt) asynq.RedisConnOpt { return withoutMemory{conn} }

// MakeRedisClient implements asynq.RedisConnOpt.
func (c withoutMemory) MakeRedisClient() any {
	made := c.RedisConnOpt.MakeRedisClient()
	if client, ok := made.(redis.UniversalClient); ok {
		client.AddHook(withoutDenials{})
	}
	return made
}

// withoutDenials replies in the place of a Redis that denies what is only for people to look at.
type withoutDenials struct{}

var _ redis.Hook = withoutDenials{}

func (withoutDenials) DialHook(next redis.DialHook) redis.DialHook { return next }

func (withoutDenials) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

func (withoutDenials) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		err := next(ctx, cmd)
		if _, answered := errors.AsType[redis.Error](err); !answered || errors.Is(err, redis.Nil) || redis.HasErrorPrefix(err, "NOSCRIPT") {
			return err
		}
		switch c := cmd.(type) {
		case *redis.Cmd:
			if asksMemory(c) {
				c.SetErr(nil)
				c.SetVal(int64(0))
				return nil
			}
		case *redis.StringCmd:
			if name := strings.ToLower(c.Name()); name == "info" || name == "cluster" {
				c.SetErr(nil)
				c.SetVal("") // the page then shows no details of the server
				return nil
			}
		}
		return err
	}
}

// asksMemory recognizes asynq's script that estimates a queue's memory, which asynq does not export: it alone has seven keys of
// which the last lists the queue's groups.
func asksMemory(cmd *redis.Cmd) bool {
	args := cmd.Args()
	const keys = 7
	if len(args) < 3+keys || !strings.HasPrefix(strings.ToLower(cmd.Name()), "eval") || args[2] != keys {
		return false
	}
	last, ok := args[2+keys].(string)
	return ok && strings.HasPrefix(last, "asynq:{") && strings.HasSuffix(last, "}:groups")
}
