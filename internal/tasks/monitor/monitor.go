// Package monitor is asynq's own web UI over our queues. It is a package of its own because workers, which link tasks,
// need no UI.
package monitor

import (
	"errors"
	"net/http"

	"github.com/hibiken/asynq"
	"github.com/hibiken/asynqmon"

	"quantbot/internal/candle"
	"quantbot/internal/tasks"
)

// Monitor shows the queues under one path.
type Monitor struct {
	readOnly, writable *asynqmon.HTTPHandler
}

// New makes a monitor that answers below root, such as "/queues", over the Redis that conn reaches.
func New(conn asynq.RedisConnOpt, root string) *Monitor {
	options := asynqmon.Options{
		RootPath: root, RedisConnOpt: tasks.WithoutMemory(conn), ReadOnly: true,
		PayloadFormatter: asynqmon.PayloadFormatterFunc(func(kind string, payload []byte) string { return candle.Printable(tasks.Describe(kind, payload)) }),
		ResultFormatter:  asynqmon.ResultFormatterFunc(func(_ string, result []byte) string { return candle.Printable(tasks.DescribeResult(result)) }),
	}
	m := &Monitor{readOnly: asynqmon.New(options)}
	options.ReadOnly = false
	m.writable = asynqmon.New(options)
	return m
}

// Handler shows the queues; writable lets visitors run, archive and delete tasks and pause queues.
func (m *Monitor) Handler(writable bool) http.Handler {
	if writable {
		return m.writable
	}
	return m.readOnly
}

// Close closes the connections.
func (m *Monitor) Close() error { return errors.Join(m.readOnly.Close(), m.writable.Close()) }
