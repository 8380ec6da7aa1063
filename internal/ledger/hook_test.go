package ledger_test

import (
	"context"
	"net"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/redis/go-redis/v9"

	"quantbot/internal/ledger"
)

// repeater sends each script twice and gives back the second answer, as the client does when the first is lost.
type repeater struct{ repeated atomic.Int64 }

func (r *repeater) DialHook(next redis.DialHook) redis.DialHook { return next }

func (r *repeater) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

func (r *repeater) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		err := next(ctx, cmd)
		if err == nil && strings.HasPrefix(cmd.Name(), "eval") {
			r.repeated.Add(1)
			err = next(ctx, cmd)
		}
		return err
	}
}

// before calls do before each command.
type before struct{ do func(cmd redis.Cmder) }

func (b before) DialHook(next redis.DialHook) redis.DialHook { return next }

func (b before) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

func (b before) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		b.do(cmd)
		return next(ctx, cmd)
	}
}

// doubleScans gives every field of a scan twice.
type doubleScans struct{}

func (doubleScans) DialHook(next redis.DialHook) redis.DialHook { return next }

func (doubleScans) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

func (doubleScans) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		err := next(ctx, cmd)
		if scan, ok := cmd.(*redis.ScanCmd); ok && err == nil {
			page, cursor := scan.Val()
			scan.SetVal(append(page, page...), cursor)
		}
		return err
	}
}

// deadLedger is a ledger whose Redis does not listen.
func deadLedger(t *testing.T) *ledger.Ledger {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := listener.Addr().String()
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	client := redis.NewClient(&redis.Options{Addr: addr, MaxRetries: -1})
	t.Cleanup(func() { _ = client.Close() })
	return ledger.New(client)
}
