// Package config is the environment contract that enqueuer and worker share: which variables there are, what they mean,
// and what they default to. It reads no environment itself; cmd/ hands it a getenv function.
package config

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Config is the environment, read and checked.
type Config struct {
	// RedisURL is redis://, rediss:// or redis-sentinel://; it may hold a password.
	RedisURL   Secret
	ClickHouse ClickHouse
	Birdeye    Birdeye
	// DuckDBPath is the default of --duckdb.
	DuckDBPath string
	// RollbackWindow is how long after its end a run can be rolled back exactly.
	RollbackWindow time.Duration
}

// ClickHouse says where the server is. DSN, when set, stands for all the others.
type ClickHouse struct {
	Host     string
	Port     int // native protocol
	HTTPPort int
	Database string
	User     string
	Password Secret
	DSN      Secret
}

// Birdeye configures the source of that name.
type Birdeye struct {
	APIKey  Secret
	BaseURL string
	// RPS is the account's allowance in requests per second.
	RPS float64
}

// Defaults. The Redis and ClickHouse ports are the servers' own; 15 requests a second is what Birdeye's smaller plans
// allow.
const (
	defaultRedisURL       = "redis://127.0.0.1:6379/0"
	defaultClickHousePort = 9000
	defaultHTTPPort       = 8123
	defaultBirdeyeURL     = "https://public-api.birdeye.so"
	defaultBirdeyeRPS     = 15
	defaultRollbackWindow = 7 * 24 * time.Hour
)

// Load reads the configuration. Its error names every variable that is wrong, and never a secret's value.
func Load(getenv func(string) string) (Config, error) {
	r := reader{getenv: getenv}
	cfg := Config{
		RedisURL: Secret(r.text("REDIS_URL", defaultRedisURL)),
		ClickHouse: ClickHouse{
			Host:     r.text("CLICKHOUSE_HOST", "127.0.0.1"),
			Port:     r.port("CLICKHOUSE_PORT", defaultClickHousePort),
			HTTPPort: r.port("CLICKHOUSE_HTTP_PORT", defaultHTTPPort),
			Database: r.text("CLICKHOUSE_DATABASE", "quantbot"),
			User:     r.text("CLICKHOUSE_USER", "default"),
			Password: Secret(getenv("CLICKHOUSE_PASSWORD")),
			DSN:      Secret(getenv("CLICKHOUSE_DSN")),
		},
		Birdeye: Birdeye{
			APIKey:  Secret(strings.TrimSpace(getenv("BIRDEYE_API_KEY"))),
			BaseURL: r.httpURL("BIRDEYE_BASE_URL", defaultBirdeyeURL),
			RPS:     r.rate("BIRDEYE_RPS", defaultBirdeyeRPS),
		},
		DuckDBPath:     getenv("DUCKDB_PATH"),
		RollbackWindow: r.duration("QUANTBOT_ROLLBACK_WINDOW", defaultRollbackWindow),
	}
	r.redisURL(cfg.RedisURL)
	return cfg, errors.Join(r.problems...)
}

// Address is host:port of the native protocol, for messages.
func (c ClickHouse) Address() string { return net.JoinHostPort(c.Host, strconv.Itoa(c.Port)) }

// reader collects what is wrong instead of stopping at the first.
type reader struct {
	getenv   func(string) string
	problems []error
}

func (r *reader) problem(name, format string, args ...any) {
	r.problems = append(r.problems, fmt.Errorf("%s: "+format, append([]any{name}, args...)...))
}

func (r *reader) text(name, fallback string) string {
	if value := strings.TrimSpace(r.getenv(name)); value != "" {
		return value
	}
	return fallback
}

func (r *reader) port(name string, fallback int) int {
	value := r.text(name, strconv.Itoa(fallback))
	port, err := strconv.Atoi(value)
	if err != nil || port < 1 || port > 65535 {
		r.problem(name, "%q is no port number", value)
	}
	return port
}

func (r *reader) rate(name string, fallback float64) float64 {
	value := r.getenv(name)
	if value == "" {
		return fallback
	}
	rate, err := strconv.ParseFloat(value, 64)
	if err != nil || !(rate > 0) || rate > 1e6 {
		r.problem(name, "%q is no number of requests per second above 0", value)
	}
	return rate
}

func (r *reader) duration(name string, fallback time.Duration) time.Duration {
	value := r.getenv(name)
	if value == "" {
		return fallback
	}
	d, err := ParseDuration(value)
	if err != nil || d < 0 {
		r.problem(name, "%q is no duration such as 7d, 12h or 0", value)
	}
	return d
}

func (r *reader) httpURL(name, fallback string) string {
	value := r.text(name, fallback)
	u, err := url.Parse(value)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
		r.problem(name, "not an http:// or https:// URL")
	}
	return strings.TrimRight(value, "/")
}

// redisURL checks the form only; the value may hold a password and is not shown.
func (r *reader) redisURL(value Secret) {
	u, err := url.Parse(value.Reveal())
	if err != nil || u.Host == "" {
		r.problem("REDIS_URL", "not a URL such as redis://host:6379/0")
		return
	}
	switch u.Scheme {
	case "redis", "rediss", "redis-sentinel":
	default:
		r.problem("REDIS_URL", "scheme %q is not redis, rediss or redis-sentinel", u.Scheme)
	}
}
