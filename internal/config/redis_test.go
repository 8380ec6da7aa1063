package config

import (
	"crypto/tls"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"quantbot/internal/secret"
)

// parsed is what a URL that the test knows to be right says.
func parsed(t *testing.T, url secret.Text) *Redis {
	t.Helper()
	r, err := ParseRedis(url)
	require.NoError(t, err, url.Reveal())
	return r
}

func TestParseRedis(t *testing.T) {
	t.Parallel()
	secure := &tls.Config{MinVersion: tls.VersionTLS12}
	for in, want := range map[string]redis.UniversalOptions{
		"redis://127.0.0.1:6379/0":               {Addrs: []string{"127.0.0.1:6379"}},
		"redis://h":                              {Addrs: []string{"h:6379"}},
		"redis://[::1]/3":                        {Addrs: []string{"[::1]:6379"}, DB: 3},
		"redis://ana:p%40s%2F@h:1/":              {Addrs: []string{"h:1"}, Username: "ana", Password: "p@s/"},
		"redis://:p@s@h:1":                       {Addrs: []string{"h:1"}, Password: "p@s"},
		"rediss://:pw@h":                         {Addrs: []string{"h:6379"}, Password: "pw", TLSConfig: secure},
		"redis-socket:///run/r.sock":             {Addrs: []string{"/run/r.sock"}},
		"redis-socket://ana:pw@/run/r.sock?db=3": {Addrs: []string{"/run/r.sock"}, Username: "ana", Password: "pw", DB: 3},
		"redis-sentinel://ana:pw@a:1,b,[::1]:3/2?master=m&sentinel_username=u&sentinel_password=s": {
			Addrs: []string{"a:1", "b:26379", "[::1]:3"}, DB: 2, MasterName: "m", Username: "ana", Password: "pw", SentinelUsername: "u", SentinelPassword: "s",
		},
		"rediss-sentinel://a?master=m":   {Addrs: []string{"a:26379"}, MasterName: "m", TLSConfig: secure},
		"redis-cluster://ana:pw@a,b:1/0": {Addrs: []string{"a:6379", "b:1"}, Username: "ana", Password: "pw", IsClusterMode: true},
		"rediss-cluster://a":             {Addrs: []string{"a:6379"}, IsClusterMode: true, TLSConfig: secure},
	} {
		got := parsed(t, secret.Text(in)).options
		require.True(t, got.ContextTimeoutEnabled, in)
		got.ContextTimeoutEnabled = false
		times := cmpopts.IgnoreFields(got, "DialTimeout", "DialerRetries", "MaxRetries", "ReadTimeout", "PoolSize", "MaintNotificationsConfig")
		require.Empty(t, gocmp.Diff(want, got, times, cmpopts.IgnoreUnexported(tls.Config{})), in)
	}
}

func TestParseRedisRefusesWithoutQuoting(t *testing.T) {
	t.Parallel()
	noCertificate := filepath.Join(t.TempDir(), "ca.pem")
	require.NoError(t, os.WriteFile(noCertificate, []byte("hunter2"), 0o600))
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
		"redis://a,b":                     "redis-sentinel:// or redis-cluster://",
		"redis://h?pool_size=3":           "a parameter that does not belong there",
		"redis://h?ca=/x":                 "a parameter that does not belong there",
		"http://u:hunter2@h":              "the scheme is not redis, redis-socket,",
		"rediss-socket:///s":              "the scheme is not redis,",
		"rediss://h?ca=/hunter2":          "read the file of ?ca=: no such file",
		"rediss://h?ca=" + noCertificate:  "has no certificate",
		"redis-socket://h/s":              "needs the path of a socket",
		"redis-socket://":                 "needs the path of a socket",
		"redis-socket:///s?db=x":          "database number",
		"redis-sentinel://a:1":            "?master=NAME",
		"redis-sentinel://a:1,?master=m":  "a host is missing",
		"redis-sentinel://a?master=m&x=1": "a parameter that does not belong there",
		"redis-cluster://a/1":             "only database 0",
		"redis-cluster://a,:hunter2@":     "a host is missing",
		"rediss-cluster://a?master=m":     "a parameter that does not belong there",
		// Passwords that were not percent-encoded, and so look like something else.
		"redis://:hunter2/x@h": "percent-encoded",
		"redis://:hunter2?x@h": "percent-encoded",
		"redis://:hunter2#x@h": "percent-encoded",
		"redis://:12/hunter2@": "percent-encoded",
		"redis://:hunter2%@h":  "percent-encoded",
		"redis://user:hunter2": "a host is missing or malformed",
		"hunter2://x@h":        "the scheme is not",
		"redis-sentinel://h?master=m&sentinel_password=p&hunter2":   "percent-encoded",
		"redis-sentinel://h?master=m&sentinel_password=p&hunter2=x": "percent-encoded",
		"redis-sentinel://h?master=m&sentinel_password=p;hunter2":   "percent-encoded",
		"redis-sentinel://h?master=m&sentinel_password=%hunter2":    "percent-encoded",
		"redis-sentinel://h?master=m&master=hunter2":                "given twice",
	} {
		_, err := ParseRedis(secret.Text(in))
		require.ErrorContains(t, err, want, in)
		require.NotContains(t, err.Error(), "hunter2", in)
	}
}

func TestRedisNamesItsServersAlone(t *testing.T) {
	t.Parallel()
	r := parsed(t, "redis-sentinel://ana:hunter2@a,b:1?master=m&sentinel_password=hunter2")
	require.Equal(t, "a:26379,b:1", r.String())
	require.Equal(t, "a:26379,b:1", fmt.Sprint(r))
}

// The secret of the fuzz test is nothing that errors say by themselves.
const fuzzedSecret = "s3cr3t"

func FuzzParseRedisNeverQuotes(f *testing.F) {
	for _, seed := range []string{"pw", "p/w", "p?w", "p#w", "p@w", "p:w", "12/3", "%zz", "p w", "p,w", "://", "p&w", "p;w", "p=w", "&ca=", "&db=1&db=", "[::1", "\n", "@h/0?"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, odd string) {
		password := fuzzedSecret + odd + fuzzedSecret
		for _, raw := range []string{
			"redis://:" + password + "@h:6379/0", "redis://" + password + "@h", "redis://user:" + password, password + "://h", password,
			"rediss://:" + password + "@h?ca=" + password, "redis-socket://u:" + password + "@/run/s?db=" + password, "redis-cluster://u:" + password + "@a,b:1/" + password,
			"redis-sentinel://u:" + password + "@a:1,b,[::1]:3/2?master=m&sentinel_username=" + password + "&sentinel_password=" + password,
			"redis-sentinel://a?master=m&" + password + "=1",
		} {
			if _, err := ParseRedis(secret.Text(raw)); err != nil && strings.Contains(err.Error(), fuzzedSecret) {
				t.Fatalf("the error quotes the password: %v", err)
			}
		}
	})
}

// What a URL has for a password, whatever it looks like there, is known to be a secret.
func FuzzPasswordsOfURLsAreKnown(f *testing.F) {
	for _, seed := range []string{"pw", "p%2Fw", "p@w", "p:w", "p,w", "p%20w", "%70w", "p+w"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, password string) {
		for _, raw := range []string{
			"redis://:" + password + "@h:6379/0", "redis-sentinel://u:" + password + "@a:1,b,[::1]:3/2?master=m&sentinel_password=" + password, "redis-cluster://u:" + password + "@a:1,b",
		} {
			r, err := ParseRedis(secret.Text(raw))
			if err != nil {
				continue
			}
			known := passwords(raw)
			for _, used := range []string{r.options.Password, r.options.SentinelPassword} {
				if used != "" && !slices.Contains(known, used) {
					t.Fatalf("%q of %q is not known: %q", used, raw, known)
				}
			}
		}
	})
}
