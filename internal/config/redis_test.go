package config

import (
	"context"
	"crypto/tls"
	"strings"
	"testing"

	"github.com/alicebob/miniredis/v2"
	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
)

func TestRedisOptions(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]redis.UniversalOptions{
		"redis://127.0.0.1:6379/0":  {Addrs: []string{"127.0.0.1:6379"}},
		"redis://h":                 {Addrs: []string{"h:6379"}},
		"redis://[::1]/3":           {Addrs: []string{"[::1]:6379"}, DB: 3},
		"redis://ana:p%40s%2F@h:1/": {Addrs: []string{"h:1"}, Username: "ana", Password: "p@s/"},
		"redis://:p@s@h:1":          {Addrs: []string{"h:1"}, Password: "p@s"},
		"rediss://:pw@h:1":          {Addrs: []string{"h:1"}, Password: "pw", TLSConfig: &tls.Config{MinVersion: tls.VersionTLS12, ServerName: "h"}},
		"redis-sentinel://:pw@a:1,b,[::1]:3/2?master=m&sentinel_username=u&sentinel_password=s": {
			Addrs: []string{"a:1", "b:26379", "[::1]:3"}, DB: 2, MasterName: "m", Password: "pw", SentinelUsername: "u", SentinelPassword: "s",
		},
	} {
		got, err := RedisOptions(Secret(in))
		require.NoError(t, err, in)
		want.ContextTimeoutEnabled = true
		require.Empty(t, gocmp.Diff(want, *got, cmpopts.IgnoreUnexported(tls.Config{})), in)
	}
}

func TestRedisOptionsRefusesWithoutQuoting(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"":                                "not a URL",
		"h:6379":                          "not a URL",
		"redis://":                        "a host is missing",
		"redis:///0":                      "a host is missing",
		"redis://:hunter2@":               "a host is missing",
		"redis://h:0":                     "a port is not in",
		"redis://h:65536":                 "a port is not in",
		"redis://h/one":                   "database number",
		"redis://h/-1":                    "database number",
		"redis://h/1/2":                   "database number",
		"redis://a,b":                     "redis-sentinel://",
		"redis://h?pool_size=3":           `parameter "pool_size" is unknown`,
		"http://u:hunter2@h":              `scheme "http" is not redis, rediss or redis-sentinel`,
		"redis-sentinel://a:1":            "?master=NAME",
		"redis-sentinel://a:1,?master=m":  "a host is missing",
		"redis-sentinel://a?master=m&x=1": `parameter "x" is unknown`,
		// Passwords that were not percent-encoded, and so look like something else.
		"redis://:hunter2/x@h": "percent-encoded",
		"redis://:hunter2?x@h": "percent-encoded",
		"redis://:hunter2#x@h": "percent-encoded",
		"redis://:12/hunter2@": "percent-encoded",
		"redis://:hunter2%@h":  "percent-encoded",
		"redis://user:hunter2": "a host is missing or malformed",
	} {
		_, err := RedisOptions(Secret(in))
		require.ErrorContains(t, err, want, in)
		require.NotContains(t, err.Error(), "hunter2", in)
	}
}

func TestRedisOptionsConnect(t *testing.T) {
	t.Parallel()
	server := miniredis.RunT(t)
	server.RequireUserAuth("ana", "p@ss/word")
	options, err := RedisOptions(Secret("redis://ana:p%40ss%2Fword@" + server.Addr() + "/2"))
	require.NoError(t, err)
	client := redis.NewUniversalClient(options)
	defer func() { require.NoError(t, client.Close()) }()
	require.NoError(t, client.Set(context.Background(), "k", "v", 0).Err())
	require.True(t, server.DB(2).Exists("k"))
}

func FuzzRedisOptionsNeverQuotes(f *testing.F) {
	for _, seed := range []string{"pw", "p/w", "p?w", "p#w", "p@w", "p:w", "12/3", "%zz", "p w", "p,w", "://"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, password string) {
		_, err := RedisOptions(Secret("redis://:s3cr3t" + password + "s3cr3t@h:6379/0"))
		if err != nil && strings.Contains(err.Error(), "s3cr3t") {
			t.Fatalf("the error quotes the password: %v", err)
		}
	})
}
