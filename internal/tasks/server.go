package tasks

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/hibiken/asynq"
)

// ServerConfig configures a Server. Zero values mean the defaults.
type ServerConfig struct {
	// Redis makes the server's clients.
	Redis asynq.RedisConnOpt
	// Concurrency is how many tasks run at once; default 16.
	Concurrency int
	// ShutdownTimeout is how long a stopping server lets its tasks go on; default 45 s, above one request (30 s) and one
	// insert.
	ShutdownTimeout time.Duration
	Logger          *slog.Logger
}

func (c ServerConfig) withDefaults() ServerConfig {
	if c.Concurrency == 0 {
		c.Concurrency = 16
	}
	if c.ShutdownTimeout == 0 {
		c.ShutdownTimeout = 45 * time.Second
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c
}

// handBackTime is what a task has, at the end of the shutdown timeout, to hand its chunk back.
const handBackTime = 2 * time.Second

// Serve takes tasks and runs them until ctx ends, then stops gracefully: no new task is taken; running ones go on until
// the shutdown timeout and are interrupted then, which puts them back into the queue. Closing stopNow interrupts them at
// once.
func Serve(ctx context.Context, cfg ServerConfig, handler *Handler, stopNow <-chan struct{}) error {
	cfg = cfg.withDefaults()
	tasksCtx, interrupt := context.WithCancel(context.WithoutCancel(ctx))
	defer interrupt()
	server := asynq.NewServer(cfg.Redis, asynq.Config{
		Concurrency:              cfg.Concurrency,
		BaseContext:              func() context.Context { return tasksCtx },
		Queues:                   weights,
		TaskCheckInterval:        100 * time.Millisecond,
		DelayedTaskCheckInterval: time.Second,
		RetryDelayFunc:           retryDelay,
		IsFailure:                isFailure,
		ShutdownTimeout:          cfg.ShutdownTimeout,
		Logger:                   asynqLogger{logger: cfg.Logger},
		LogLevel:                 asynq.InfoLevel,
	})
	var running sync.WaitGroup
	err := server.Start(asynq.HandlerFunc(func(ctx context.Context, task *asynq.Task) error {
		running.Add(1)
		defer running.Done()
		return handler.ProcessTask(ctx, task)
	}))
	if err != nil {
		return fmt.Errorf("start the task server: %w", err)
	}
	<-ctx.Done()
	server.Stop()
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		server.Shutdown()
		running.Wait() // asynq does not wait for a handler whose context has ended, which still hands its chunk back
	}()
	select {
	case <-stopped:
		return nil
	case <-stopNow:
	case <-time.After(cfg.ShutdownTimeout - handBackTime):
	}
	interrupt()
	<-stopped
	return nil
}
