package cli

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestWhatIsPrintedCanBeOpened(t *testing.T) {
	t.Parallel()
	const others = " (and this machine's other addresses)"
	for address, url := range map[string]string{
		"[::]:8080": "http://127.0.0.1:8080" + others, "0.0.0.0:1": "http://127.0.0.1:1" + others, "127.0.0.1:8080": "http://127.0.0.1:8080",
		"[::1]:80": "http://[::1]:80", "10.1.2.3:9": "http://10.1.2.3:9",
	} {
		require.Equal(t, url, reachableURL(address))
	}
}
