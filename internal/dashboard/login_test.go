package dashboard

import (
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestTriesAreCountedPerClientInBoundedMemory(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_700_000_000, 0)
	s := newSessions("right", func() time.Time { return now })
	right, listened := s.try("script", "right")
	require.True(t, right && listened)
	for range 5 {
		right, listened = s.try("guesser", "wrong")
		require.False(t, right)
		require.True(t, listened)
	}
	right, listened = s.try("guesser", "right")
	require.False(t, right || listened, "a right guess is no better than a wrong one by then")
	now = now.Add(tryEvery)
	right, _ = s.try("guesser", "right")
	require.True(t, right, "one more in ten seconds")
	for range 1_000 {
		right, _ = s.try("script", "right")
		require.True(t, right, "what is right is not counted")
	}

	// Guesses from ever new addresses: all together are slowed, and those who were right before are not.
	heard := 0
	for i := range 3 * maxClients {
		if _, listened := s.try("address "+strconv.Itoa(i), "wrong"); listened {
			heard++
		}
		require.LessOrEqual(t, len(s.clients), maxClients)
	}
	require.LessOrEqual(t, heard, allTries)
	_, listened = s.try("another script", "right")
	require.False(t, listened, "it comes at a bad time")
}

func TestATryIsCountedByTheClientsNetwork(t *testing.T) {
	t.Parallel()
	for peer, client := range map[string]string{
		"192.0.2.1:5": "192.0.2.1", "[::ffff:192.0.2.1]:5": "192.0.2.1", "[2001:db8:1:2:3:4:5:6]:7": "2001:db8:1:2::/64", "[fe80::1%eth0]:1": "fe80::/64", "pipe": "pipe",
	} {
		require.Equal(t, client, clientAddress(&http.Request{RemoteAddr: peer}))
	}
}

func TestAfterALoginNobodyIsSentElsewhere(t *testing.T) {
	t.Parallel()
	for _, next := range []string{
		"", "runs", "https://evil.example", "//evil.example", `/\evil.example`, "/\t/evil.example", "/\r\n/evil.example", "/\x00/evil.example", "\t//evil.example",
	} {
		require.Equal(t, "/", localPath(next), "%q", next)
	}
	for _, next := range []string{"/", "/runs/1?a=b", "/?token=So11&q=%09", "/coverage?q=é"} {
		require.Equal(t, next, localPath(next))
	}
}
