package config

import (
	"context"
	"errors"

	"github.com/redis/go-redis/v9"
)

// lookAgain makes a cluster's client ask anew which node has which keys as soon as a node does not answer. By itself the
// client does so only where a node replies that it no longer has them, and every minute: a primary that died was dialled for
// that long although another had taken its place.
type lookAgain struct{ client *redis.ClusterClient }

var _ redis.Hook = lookAgain{}

func (h lookAgain) DialHook(next redis.DialHook) redis.DialHook {
	return next // a command waits for the connection
}

func (h lookAgain) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		err := next(ctx, cmd)
		if cmd.Name() != "cluster" { // the question itself: whoever asks it goes on to the next node
			h.reloadAfter(ctx, err)
		}
		return err
	}
}

func (h lookAgain) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		err := next(ctx, cmds)
		h.reloadAfter(ctx, err)
		return err
	}
}

// reloadAfter starts to ask, beside everything else and once at a time, unless the node did answer or the caller gave up.
func (h lookAgain) reloadAfter(ctx context.Context, err error) {
	if _, answered := errors.AsType[redis.Error](err); err == nil || answered || errors.Is(ctx.Err(), context.Canceled) {
		return
	}
	h.client.ReloadState(ctx)
}
