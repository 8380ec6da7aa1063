package manifest

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestRedactURL(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"redis://127.0.0.1:6379/0":      "redis://127.0.0.1:6379/0",
		"redis://user:pw@host":          "redis://user:***@host",
		"rediss://:pw@host:1/0":         "rediss://:***@host:1/0",
		"redis://u:p@w@host:1/0":        "redis://u:***@host:1/0",
		"https://tokentoken@host/":      "https://***@host/",
		"http://[::1]:8123":             "http://[::1]:8123",
		"unix:///run/redis.sock":        "unix:///run/redis.sock",
		"https://h/?api_key=s&a=1":      "https://h/?api_key=***&a=1",
		"https://h/?X-Amz-Signature=s":  "https://h/?X-Amz-Signature=***",
		"https://h/?Pass%77ord=s&token": "https://h/?Pass%77ord=***&token",
		"https://h/?%zz=s":              "https://h/?%zz=***",
		"https://h/p#access_token=s":    "https://h/p#***",
		"clickhouse://u:p@a:9000,b:9000/db?password=s&dial_timeout=1s": "clickhouse://u:***@a:9000,b:9000/db?password=***&dial_timeout=1s",
		"redis-sentinel://:p@a:1,b,c:3/0?master=m":                     "redis-sentinel://:***@a:1,b,c:3/0?master=m",

		// What may be a piece of a secret in the wrong place hides everything.
		"":                          "***",
		"host:6379":                 "***",
		"user:pw@host:6379/0":       "***",
		"redis://:p/w@host":         "***",
		"redis://:12/w@host":        "***",
		"redis://:12?w@host":        "***",
		"redis://:p#w@host":         "***",
		"redis://user:pw":           "***",
		"http://u:pw@[bad":          "***",
		"not a scheme://u:pw@host/": "***",
	} {
		require.Equal(t, want, RedactURL(in), in)
	}
}

func TestRedact(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"":                     "",
		"2024-01-01T00:00:00Z": "2024-01-01T00:00:00Z",
		"So11111111111111111111111111111111111111112": "So11111111111111111111111111111111111111112",
		"redis://:p/w@host":                           "***",
		"SELECT mint FROM postgres_scan('postgres://u:pw@h/db', 't') WHERE token = 'x'": "SELECT mint FROM postgres_scan('postgres://u:***@h/db', 't') WHERE token = 'x'",
		"host=h password=pw user=u":     "host=h password=*** user=u",
		"ATTACH 'host=h PASSWORD = pw'": "ATTACH 'host=h PASSWORD = ***'",
		"md:db?motherduck_token=abc":    "md:db?motherduck_token=***",
	} {
		require.Equal(t, want, Redact(in), in)
	}
}

func TestRedactArgsReachesEveryString(t *testing.T) {
	t.Parallel()
	const bad, good = "redis://:pw@h", "redis://:***@h"
	args := map[string]any{"a": bad, "b": []string{"x", bad}, "c": []any{1, bad}, "d": map[string]any{"e": bad}, "f": 7, "g": nil}
	require.Equal(t, map[string]any{"a": good, "b": []string{"x", good}, "c": []any{1, good}, "d": map[string]any{"e": good}, "f": 7, "g": nil},
		redactArgs(args))
	require.Equal(t, bad, args["a"], "the caller's arguments stay as they are")
}

func FuzzRedactURLHidesThePassword(f *testing.F) {
	for _, seed := range []string{"pw", "p/w", "p?w", "p#w", "p@w", "p:w", "12/3", "12", "%41", "p w", "p,w", "://"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, password string) {
		// Marked so that finding it cannot be chance.
		secret := "s3cr3t" + password + "s3cr3t"
		if redacted := RedactURL("redis://user:" + secret + "@host:6379/0"); strings.Contains(redacted, "s3cr3t") {
			t.Fatalf("password %q is seen in %q", secret, redacted)
		}
	})
}
