package config

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"

	"quantbot/internal/secret"
)

const (
	redisPort    = "6379"
	sentinelPort = "26379"
)

// The times of a client. A command without a deadline of its own, as asynq sends them, must come to an end on a server that
// is gone without a word, or nobody would look for the server that took its place; so these together stay below 15 s.
const (
	// redisConnect bounds one connection, TLS included: around the world it takes below a second.
	redisConnect = 2 * time.Second
	// redisAnswer bounds the wait for one answer. A fork or a late fsync of the append-only file keep Redis for up to two.
	redisAnswer = 3 * time.Second
	// redisFind bounds one search for the primary through sentinels and the connection to it: a sentinel that went with the
	// primary is asked twice (answer, connection), on the old and on a new connection, before the others are.
	redisFind = 12 * time.Second
)

// redisConnections is the most that a client opens to one server: a connection for each of a worker's 32 tasks or an
// enqueuer's 24 goroutines, and some for what goes on beside them. Those that nobody needs are not opened.
const redisConnections = 64

// Redis is how Redis is reached, read from a URL. It makes all clients of Redis, also asynq's, whose RedisConnOpt it is: the
// URL that was checked is the one that is used.
type Redis struct {
	options redis.UniversalOptions
	redact  func(error) error
}

// Redacting is the same Redis, whose clients return errors as redact has them: Redis may repeat what it was sent.
func (r *Redis) Redacting(redact func(error) error) *Redis {
	return &Redis{options: r.options, redact: redact}
}

// ParseRedis reads a URL of Redis:
//
//	redis://[[user]:password@]host[:6379][/db]
//	redis-socket://[[user]:password@]/path/of/the.sock[?db=N]
//	redis-sentinel://[[user]:password@]host[:26379][,host…][/db]?master=NAME[&sentinel_username=U][&sentinel_password=P]
//	redis-cluster://[[user]:password@]host[:6379][,host…]
//	rediss://… rediss-sentinel://… rediss-cluster://… [?ca=FILE]    the same over TLS, sentinels included
//
// User and password are Redis's own; the sentinels' are parameters. ca is a file of certificates (PEM) to trust instead of
// the system's. Other parameters are refused: they would have no effect. The error never quotes the URL.
func ParseRedis(rawURL secret.Text) (*Redis, error) {
	u, hosts, err := splitURL(rawURL.Reveal())
	if err != nil {
		return nil, err
	}
	r := &Redis{options: redis.UniversalOptions{
		ContextTimeoutEnabled: true, // so that a caller's deadline ends a call
		DialTimeout:           redisConnect, ReadTimeout: redisAnswer, PoolSize: redisConnections,
		// Answers to a question that only a commercial Redis understands.
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	}}
	r.options.Username = u.User.Username()
	r.options.Password, _ = u.User.Password()
	query, err := parameters(u.RawQuery)
	if err != nil {
		return nil, err
	}
	if err := r.setTLS(u.Scheme, query); err != nil {
		return nil, err
	}
	if err := r.setServers(u, hosts, query); err != nil {
		return nil, err
	}
	if len(query) > 0 {
		return nil, errUnknownParameter
	}
	return r, nil
}

// errUnknownParameter does not name the parameter: after an & that was not encoded it is a part of a password.
var errUnknownParameter = errors.New("there is a parameter that does not belong there: ca goes with TLS, db with a socket, master, " +
	"sentinel_username and sentinel_password with Sentinel; in a password & must be percent-encoded (%26)")

// parameters reads a query. url.Query drops what it cannot read, and a password with it.
func parameters(raw string) (url.Values, error) {
	query, err := url.ParseQuery(raw)
	if err != nil {
		return nil, errors.New("the parameters after ? cannot be read: in a password ; and % must be percent-encoded (%3B, %25)")
	}
	for _, values := range query {
		if len(values) > 1 {
			return nil, errors.New("a parameter is given twice")
		}
	}
	return query, nil
}

const redisSchemes = "redis, redis-socket, redis-sentinel, redis-cluster, rediss, rediss-sentinel or rediss-cluster"

// setServers reads where the servers are. It takes the parameters that it knows out of the query.
func (r *Redis) setServers(u *url.URL, hosts string, query url.Values) (err error) {
	o := &r.options
	switch u.Scheme {
	case "redis", "rediss":
		if strings.Contains(hosts, ",") {
			return errors.New("several hosts need redis-sentinel:// or redis-cluster://")
		}
		return r.setHosts(u, hosts, redisPort)
	case "redis-socket":
		if hosts != "" || u.Path == "" {
			return errors.New("redis-socket:// needs the path of a socket, as in redis-socket:///run/redis.sock")
		}
		o.Addrs = []string{u.Path} // the client takes what begins with a slash for a socket
		o.DB, err = databaseNumber(take(query, "db"))
		return err
	case "redis-sentinel", "rediss-sentinel":
		if o.MasterName = take(query, "master"); o.MasterName == "" {
			return fmt.Errorf("%s:// needs ?master=NAME", u.Scheme)
		}
		o.SentinelUsername, o.SentinelPassword = take(query, "sentinel_username"), take(query, "sentinel_password")
		// A new connection asks the sentinels anew, so what retries below that only puts it off.
		o.DialTimeout, o.DialerRetries, o.MaxRetries = redisFind, 1, 1
		return r.setHosts(u, hosts, sentinelPort)
	case "redis-cluster", "rediss-cluster":
		o.IsClusterMode, o.DialerRetries = true, 1
		if err := r.setHosts(u, hosts, redisPort); err != nil {
			return err
		}
		if o.DB != 0 {
			return errors.New("a Redis Cluster has only database 0")
		}
		return nil
	}
	return errors.New("the scheme is not " + redisSchemes) // unquoted: a password may have a :// in it
}

func (r *Redis) setHosts(u *url.URL, hosts, defaultPort string) (err error) {
	for host := range strings.SplitSeq(hosts, ",") {
		addr, err := address(host, defaultPort)
		if err != nil {
			return err
		}
		r.options.Addrs = append(r.options.Addrs, addr)
	}
	r.options.DB, err = databaseNumber(strings.Trim(u.Path, "/"))
	return err
}

func (r *Redis) setTLS(scheme string, query url.Values) error {
	if !strings.HasPrefix(scheme, "rediss") {
		return nil
	}
	r.options.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12}
	file := take(query, "ca")
	if file == "" {
		return nil
	}
	pem, err := os.ReadFile(file)
	if err != nil {
		if pathErr, ok := errors.AsType[*fs.PathError](err); ok {
			err = pathErr.Err // without the path, which is part of the URL
		}
		return fmt.Errorf("read the file of ?ca=: %w", err)
	}
	r.options.TLSConfig.RootCAs = x509.NewCertPool()
	if !r.options.TLSConfig.RootCAs.AppendCertsFromPEM(pem) {
		return errors.New("the file of ?ca= has no certificate in PEM")
	}
	return nil
}

// take returns a parameter and removes it.
func take(query url.Values, name string) string {
	value := query.Get(name)
	query.Del(name)
	return value
}

// dialer connects to whatever the client found: the server itself, a sentinel, the primary that it named, or a node.
func dialer(config *tls.Config) func(ctx context.Context, network, addr string) (net.Conn, error) {
	plain := &net.Dialer{Timeout: redisConnect}
	if config == nil {
		return plain.DialContext
	}
	return (&tls.Dialer{NetDialer: plain, Config: config}).DialContext
}

// NewClient returns a client. The caller closes it.
func (r *Redis) NewClient() redis.UniversalClient {
	options := r.options
	options.Addrs = slices.Clone(options.Addrs)
	options.Dialer = dialer(options.TLSConfig)
	client := newClient(&options)
	if r.redact != nil {
		client.AddHook(redactErrors(r.redact))
	}
	return client
}

func newClient(options *redis.UniversalOptions) redis.UniversalClient {
	if !options.IsClusterMode {
		return redis.NewUniversalClient(options)
	}
	client := redis.NewClusterClient(options.Cluster())
	client.OnNewNode(func(node *redis.Client) { node.AddHook(lookAgain{client}) })
	return client
}

// MakeRedisClient is NewClient for asynq.
func (r *Redis) MakeRedisClient() any { return r.NewClient() }

// String names the servers, without user and password.
func (r *Redis) String() string { return strings.Join(r.options.Addrs, ",") }

// Address names the servers and the database, without user and password.
func (r *Redis) Address() string { return r.String() + "/" + strconv.Itoa(r.options.DB) }

// Cluster reports that keys are spread over several servers.
func (r *Redis) Cluster() bool { return r.options.IsClusterMode }

func databaseNumber(text string) (int, error) {
	if text == "" {
		return 0, nil
	}
	db, err := strconv.ParseUint(text, 10, 31)
	if err != nil {
		return 0, errors.New("that is not a database number, as in /0, or for a socket ?db=0")
	}
	return int(db), nil
}

// address adds the default port.
func address(host, defaultPort string) (string, error) {
	u, err := url.Parse("host://" + host)
	if err != nil || u.Hostname() == "" {
		return "", errors.New("a host is missing or malformed")
	}
	port := u.Port()
	if port == "" {
		port = defaultPort
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return "", errors.New("a port is not in 1 to 65535")
	}
	return net.JoinHostPort(u.Hostname(), port), nil
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
