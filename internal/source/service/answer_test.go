package service

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// One header that means something else must not keep the whole fleet waiting.
func TestRetryAfterMakesSense(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for name, test := range map[string]struct {
		header map[string]string
		want   time.Duration
	}{
		"none":                          {nil, 0},
		"seconds":                       {map[string]string{"Retry-After": "60"}, time.Minute},
		"a fraction":                    {map[string]string{"Retry-After": " 0.5 "}, 500 * time.Millisecond},
		"an hour":                       {map[string]string{"Retry-After": "3599"}, LongestPause},
		"milliseconds":                  {map[string]string{"Retry-After": "30000"}, 30 * time.Second},
		"Unix time":                     {map[string]string{"Retry-After": "1767225607"}, 7 * time.Second},
		"Unix time in milliseconds":     {map[string]string{"Retry-After": "1767225607000"}, 7 * time.Second},
		"Unix time, long ago":           {map[string]string{"Retry-After": "1667225607"}, 0},
		"Unix time, far away":           {map[string]string{"Retry-After": "4102444800"}, LongestPause},
		"huge":                          {map[string]string{"Retry-After": "99999999999999999999"}, 0},
		"beyond all numbers":            {map[string]string{"Retry-After": "1e999"}, 0},
		"not finite":                    {map[string]string{"Retry-After": "Inf"}, 0},
		"no number":                     {map[string]string{"Retry-After": "NaN"}, 0},
		"negative":                      {map[string]string{"Retry-After": "-60"}, 0},
		"words":                         {map[string]string{"Retry-After": "soon"}, 0},
		"a date":                        {map[string]string{"Retry-After": "Thu, 01 Jan 2026 00:01:30 GMT"}, 90 * time.Second},
		"a date far away":               {map[string]string{"Retry-After": "Fri, 01 Jan 2100 00:00:00 GMT"}, LongestPause},
		"a date by another clock":       {map[string]string{"Retry-After": "Thu, 01 Jan 2026 01:00:30 GMT", "Date": "Thu, 01 Jan 2026 01:00:00 GMT"}, 30 * time.Second},
		"a reset":                       {map[string]string{"X-RateLimit-Reset": "1767225605"}, 5 * time.Second},
		"a reset in seconds":            {map[string]string{"X-RateLimit-Reset": "5"}, 5 * time.Second},
		"nonsense, then a reset":        {map[string]string{"Retry-After": "soon", "X-RateLimit-Reset": "1767225605"}, 5 * time.Second},
		"a reset in the distant future": {map[string]string{"X-RateLimit-Reset": "9999999999"}, LongestPause},
	} {
		header := http.Header{}
		for key, value := range test.header {
			header.Set(key, value)
		}
		require.Equal(t, test.want, RetryAfter(header, now), name)
	}
}

func TestAForeignMessageIsOneLineOfWhatIsSeen(t *testing.T) {
	t.Parallel()
	require.Equal(t, `no  such\u202e token\u200b`, Clean("no\n such\u202e token\u200b"))
	require.Equal(t, "a?b", Clean("a\xffb"))
	long := []rune(Clean(strings.Repeat("\u202e", 1_000)))
	require.Len(t, long, 201)
	require.NotContains(t, long, '\u202e')
}
