package config

import (
	"context"

	"github.com/redis/go-redis/v9"
)

// redactErrors makes a client return errors as the function has them. It is where the words of Redis enter.
type redactErrors func(error) error

var _ redis.Hook = redactErrors(nil)

func (h redactErrors) DialHook(next redis.DialHook) redis.DialHook {
	return next // a command waits for the connection
}

func (h redactErrors) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		return h(next(ctx, cmd)) // the client gives it to the command
	}
}

func (h redactErrors) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		err := next(ctx, cmds)
		for _, cmd := range cmds {
			cmd.SetErr(h(cmd.Err()))
		}
		return h(err)
	}
}
