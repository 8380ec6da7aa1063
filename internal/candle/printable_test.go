package candle

import (
	"bytes"
	"encoding/json"
	"io"
	"strings"
	"sync"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
)

func TestPrintable(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"": "",
		"So11111111111 | é – 币安人生USDT": "So11111111111 | é – 币安人生USDT",
		"two\nlines\tand a tab":        "two\nlines\tand a tab",
		"1\u202f234":                   "1\u202f234", // a narrow space, which groups digits
		"a\u202eUSDT":                  `a\u202eUSDT`,
		"\u2066x\u2069\u200b\ufeff":    `\u2066x\u2069\u200b\ufeff`,
		"\x1b[2J\a\r\x7f":              `\u001b[2J\u0007\u000d\u007f`,
		"\u009b31m":                    `\u009b31m`,
		"\x9b31m":                      `\u009b31m`,
		"a\u2028b\u3164":               `a\u2028b\u3164`,
		"\U000e0041":                   `\udb40\udc41`,
		"\ufffd":                       "\ufffd",
	} {
		require.Equal(t, want, Printable(in), "%q", in)
	}
}

func TestPrintableKeepsJSONsMeaning(t *testing.T) {
	t.Parallel()
	const text = "a\u202eb\U000e0041\u009b\ufeff\u2028"
	encoded, err := json.Marshal(text)
	require.NoError(t, err)
	var decoded string
	require.NoError(t, json.Unmarshal([]byte(Printable(string(encoded))), &decoded))
	require.Equal(t, text, decoded)
}

func FuzzPrintableWriter(f *testing.F) {
	f.Add("a\u202eb\x9b\U000e0041é", 2)
	f.Add("\xe2\x80", 1)
	f.Fuzz(func(t *testing.T, text string, cut int) {
		cut = min(max(cut, 0), len(text))
		var b bytes.Buffer
		w := PrintableWriter(&b)
		for _, part := range []string{text[:cut], text[cut:], "\n"} {
			n, err := w.Write([]byte(part))
			require.NoError(t, err)
			require.Equal(t, len(part), n)
		}
		require.Equal(t, Printable(text+"\n"), b.String())
		require.True(t, utf8.Valid(b.Bytes()))
		require.False(t, strings.ContainsFunc(strings.ReplaceAll(b.String(), "\ufffd", ""), obeyed))
	})
}

// Loggers and messages of one process write at once.
func TestAPrintableWriterKeepsLinesWhole(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	w := PrintableWriter(&out)
	var writing sync.WaitGroup
	for range 8 {
		writing.Go(func() {
			for range 200 {
				_, _ = io.WriteString(w, "été\u202e\n") // a strings.Builder has no error
			}
		})
	}
	writing.Wait()
	require.Equal(t, strings.Repeat("été\\u202e\n", 1_600), out.String())
}
