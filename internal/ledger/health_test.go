package ledger_test

import (
	"context"
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"quantbot/internal/backfill"
	"quantbot/internal/ledger"
)

func TestCheckIsContentWithTestRedis(t *testing.T) {
	t.Parallel()
	l, _ := newLedger(t)
	warnings, err := l.Check(t.Context())
	require.NoError(t, err)
	require.Empty(t, warnings)
}

// misconfigured answers for a Redis that has other settings, or hides those that are empty.
type misconfigured struct {
	version string
	policy  string
}

// refusal is an error that Redis itself answers.
type refusal string

func (r refusal) Error() string { return string(r) }
func (refusal) RedisError()     {}

func (misconfigured) DialHook(next redis.DialHook) redis.DialHook { return next }

func (misconfigured) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

func (m misconfigured) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		switch cmd := cmd.(type) {
		case *redis.StringCmd:
			if m.version == "" {
				cmd.SetErr(refusal("NOPERM"))
				return refusal("NOPERM")
			}
			cmd.SetVal("# Server\r\nredis_version:" + m.version + "\r\nredis_mode:standalone\r\n")
			return nil
		case *redis.MapStringStringCmd:
			if m.policy == "" {
				cmd.SetErr(refusal("NOPERM"))
				return refusal("NOPERM")
			}
			cmd.SetVal(map[string]string{"maxmemory-policy": m.policy, "appendonly": "no"})
			return nil
		}
		return next(ctx, cmd)
	}
}

func TestCheckWarns(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		redis misconfigured
		want  map[string]string // setting → value
	}{
		"unsafe settings": {
			misconfigured{version: "7.2.4", policy: "allkeys-lru"},
			map[string]string{"maxmemory-policy": "allkeys-lru", "appendonly": "no"},
		},
		"old": {
			misconfigured{version: "6.0.16", policy: "noeviction"},
			map[string]string{"version": "6.0.16", "appendonly": "no"},
		},
		"oldest that will do, and hidden settings": {
			misconfigured{version: "6.2.0"},
			map[string]string{"maxmemory-policy": "", "appendonly": ""},
		},
		"next major version": {
			misconfigured{version: "10.0.1", policy: "noeviction"},
			map[string]string{"appendonly": "no"},
		},
		"hidden version": {
			misconfigured{version: "", policy: "noeviction"},
			map[string]string{"version": "", "appendonly": "no"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l, client := newLedger(t)
			client.AddHook(c.redis)
			warnings, err := l.Check(t.Context())
			require.NoError(t, err)
			got := make(map[string]string)
			for _, w := range warnings {
				require.NotEmpty(t, w.Advice)
				got[w.Setting] = w.Value
			}
			require.Equal(t, c.want, got)
		})
	}
}

func TestCheckNeedsRedis(t *testing.T) {
	t.Parallel()
	_, err := deadLedger(t).Check(t.Context())
	require.Equal(t, backfill.ClassStore, backfill.ClassOf(err))
}

func TestWarningReadsAsSentence(t *testing.T) {
	t.Parallel()
	w := ledger.Warning{Setting: "appendonly", Value: "no", Advice: "set it to yes"}
	require.Equal(t, "redis appendonly is no: set it to yes", w.String())
	w.Value = ""
	require.Equal(t, "redis appendonly is unreadable: set it to yes", w.String())
}
