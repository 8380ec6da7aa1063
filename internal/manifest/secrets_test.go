package manifest

import (
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestSecretsAreFoundHoweverTheyAreWritten(t *testing.T) {
	t.Parallel()
	const secret = `p/w "d+1%<é>`
	quoted, err := json.Marshal(secret)
	require.NoError(t, err)
	s := NewSecrets("short", secret, "distinctive-key")
	for _, text := range []string{
		secret, url.QueryEscape(secret), url.PathEscape(secret), strings.ToLower(url.QueryEscape(secret)), string(quoted),
		`{"m":"key p/w \"d+1%<é> is bad"}`, "distinctive-key",
	} {
		for _, redacted := range []string{s.Redact("a " + text + " b"), string(s.RedactBytes([]byte("a " + text + " b")))} {
			require.Contains(t, redacted, Redacted, text)
			require.NotContains(t, redacted, "d+1")
			require.NotContains(t, strings.ToLower(redacted), "d%2b1")
			require.NotContains(t, redacted, "distinctive")
		}
	}
	require.Equal(t, "a short word", s.Redact("a short word"), "too short to be distinguished from a word")
	require.Equal(t, "anything", Secrets{}.Redact("anything"))
}

// What an error wraps decides what is done about it; its text is what people read.
func TestAnErrorLosesItsSecretsAndKeepsItsChain(t *testing.T) {
	t.Parallel()
	s := NewSecrets("distinctive-key")
	cause := fmt.Errorf("no key distinctive-key: %w", io.EOF)
	require.EqualError(t, s.Error(cause), "no key ***: EOF")
	require.ErrorIs(t, s.Error(cause), io.EOF)
	require.Equal(t, io.EOF, s.Error(io.EOF), "nothing is wrapped for nothing")
	require.NoError(t, s.Error(nil))
}
