package dashboard

import (
	"testing"

	"github.com/stretchr/testify/require"
)

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
