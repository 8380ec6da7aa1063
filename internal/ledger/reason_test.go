package ledger_test

import (
	"net"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"quantbot/internal/backfill"
	"quantbot/internal/ledger"
)

// A server that takes connections and says nothing gives no answer, whatever type the client's time-out has.
func TestASilentServerGivesNoAnswer(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer listener.Close()
	client := redis.NewClient(&redis.Options{
		Addr: listener.Addr().String(), ReadTimeout: 100 * time.Millisecond, MaxRetries: -1, DialerRetries: 1,
	})
	defer client.Close()
	err = client.Ping(t.Context()).Err()
	require.Error(t, err)
	require.Equal(t, backfill.WaitNoAnswer, ledger.Reason(err), "%T %v", err, err)
}
