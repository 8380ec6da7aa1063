package tasks

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
)

// asynqLogger lets asynq log through slog. Its info lines are about its own coming and going, which quantbot says itself, as it
// does of a task that is not tried again, with the run, the chunk and the reason.
type asynqLogger struct{ logger *slog.Logger }

func (l asynqLogger) log(level slog.Level, args []any) {
	l.logger.Log(context.Background(), level, "asynq", "detail", fmt.Sprint(args...))
}

func (l asynqLogger) Debug(args ...any) { l.log(slog.LevelDebug, args) }
func (l asynqLogger) Info(args ...any)  { l.log(slog.LevelDebug, args) }
func (l asynqLogger) Warn(args ...any) {
	level := slog.LevelWarn
	if strings.HasPrefix(fmt.Sprint(args...), "Retry exhausted") {
		level = slog.LevelDebug
	}
	l.log(level, args)
}
func (l asynqLogger) Error(args ...any) { l.log(slog.LevelError, args) }
func (l asynqLogger) Fatal(args ...any) { l.log(slog.LevelError, args) }
