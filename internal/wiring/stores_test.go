package wiring_test

import (
	"io"
	"net"
	"testing"

	"github.com/stretchr/testify/require"

	"quantbot/internal/config"
	"quantbot/internal/secret"
	"quantbot/internal/wiring"
)

// A Redis in protected mode says so to other machines, and hangs up before it has read what they ask.
func TestARedisInProtectedModeIsNamed(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	served := make(chan struct{})
	go func() {
		defer close(served)
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			_, _ = io.WriteString(conn, "-DENIED Redis is running in protected mode because protected mode is enabled and no password is set.\r\n")
			_ = conn.Close()
		}
	}()
	t.Cleanup(func() { _ = listener.Close(); <-served })
	redis, err := config.ParseRedis(secret.Text("redis://" + listener.Addr().String()))
	require.NoError(t, err)

	_, err = wiring.OpenRedis(t.Context(), config.Config{Redis: redis})
	require.ErrorContains(t, err, "redis at "+listener.Addr().String()+" is in protected mode and refuses other machines: give it a password")
}
