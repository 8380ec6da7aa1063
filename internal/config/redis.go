package config

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"
)

const (
	redisPort    = "6379"
	sentinelPort = "26379"
)

// RedisOptions turns a Redis URL into options for redis.NewUniversalClient:
//
//	redis://[[user]:password@]host[:6379][/db]
//	rediss://…                                  the same over TLS
//	redis-sentinel://[[user]:password@]host[:26379][,host…][/db]?master=NAME[&sentinel_username=U][&sentinel_password=P]
//
// User and password are Redis's own; the sentinels' are parameters. Other parameters are refused: another client of the
// same URL might read them differently. The error never quotes the URL.
func RedisOptions(rawURL Secret) (*redis.UniversalOptions, error) {
	u, hosts, err := splitURL(rawURL.Reveal())
	if err != nil {
		return nil, err
	}
	o := &redis.UniversalOptions{ContextTimeoutEnabled: true} // so that a caller's deadline ends a call
	if o.DB, err = databaseNumber(u.Path); err != nil {
		return nil, err
	}
	o.Username = u.User.Username()
	o.Password, _ = u.User.Password()
	switch u.Scheme {
	case "redis":
		err = setSingleHost(o, u, hosts)
	case "rediss":
		o.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12}
		err = setSingleHost(o, u, hosts)
	case "redis-sentinel":
		err = setSentinels(o, u, hosts)
	default:
		err = fmt.Errorf("scheme %q is not redis, rediss or redis-sentinel", u.Scheme)
	}
	if err != nil {
		return nil, err
	}
	return o, nil
}

func setSingleHost(o *redis.UniversalOptions, u *url.URL, hosts string) error {
	if strings.Contains(hosts, ",") {
		return errors.New("several hosts need redis-sentinel://")
	}
	addr, name, err := address(hosts, redisPort)
	if err != nil {
		return err
	}
	o.Addrs = []string{addr}
	if o.TLSConfig != nil {
		o.TLSConfig.ServerName = name
	}
	return allowParameters(u.Query())
}

func setSentinels(o *redis.UniversalOptions, u *url.URL, hosts string) error {
	query := u.Query()
	o.MasterName = query.Get("master")
	if o.MasterName == "" {
		return errors.New("redis-sentinel:// needs ?master=NAME")
	}
	o.SentinelUsername = query.Get("sentinel_username")
	o.SentinelPassword = query.Get("sentinel_password")
	for host := range strings.SplitSeq(hosts, ",") {
		addr, _, err := address(host, sentinelPort)
		if err != nil {
			return err
		}
		o.Addrs = append(o.Addrs, addr)
	}
	return allowParameters(query, "master", "sentinel_username", "sentinel_password")
}

func allowParameters(query url.Values, names ...string) error {
	for _, name := range names {
		query.Del(name)
	}
	for name := range query {
		return fmt.Errorf("parameter %q is unknown", name)
	}
	return nil
}

func databaseNumber(path string) (int, error) {
	path = strings.Trim(path, "/")
	if path == "" {
		return 0, nil
	}
	db, err := strconv.ParseUint(path, 10, 31)
	if err != nil {
		return 0, errors.New("the path is not a database number such as /0")
	}
	return int(db), nil
}

// address adds the default port and returns the bare host name too.
func address(host, defaultPort string) (addr, name string, err error) {
	u, err := url.Parse("host://" + host)
	if err != nil || u.Hostname() == "" {
		return "", "", errors.New("a host is missing or malformed")
	}
	port := u.Port()
	if port == "" {
		port = defaultPort
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return "", "", errors.New("a port is not in 1 to 65535")
	}
	return net.JoinHostPort(u.Hostname(), port), u.Hostname(), nil
}

var errNotURL = errors.New("not a URL such as redis://user:password@host:6379/0; in a password @ / ? # and % must be " +
	"percent-encoded")

// splitURL parses a URL that may name several hosts, which net/url refuses unless each has a port. The hosts come back
// as they stand; u.Host means nothing. Its errors quote nothing: a misread password could be in any part.
func splitURL(raw string) (u *url.URL, hosts string, err error) {
	scheme, rest, ok := strings.Cut(raw, "://")
	if !ok {
		return nil, "", errNotURL
	}
	end := strings.IndexAny(rest, "/?#")
	if end < 0 {
		end = len(rest)
	}
	authority, tail := rest[:end], rest[end:]
	at := strings.LastIndex(authority, "@")
	u, err = url.Parse(scheme + "://" + authority[:at+1] + "hosts" + tail)
	if err != nil || strings.ContainsAny(tail, "@#") {
		return nil, "", errNotURL
	}
	if u.User == nil {
		u.User = &url.Userinfo{}
	}
	return u, authority[at+1:], nil
}
