// Package config is the environment contract that enqueuer and worker share: which variables there are, what they mean,
// and what they default to. It reads no environment itself; cmd/ hands it a getenv function.
package config

import (
	"errors"
	"net"
	"strconv"
	"time"
)

// Config is the environment, read and checked.
type Config struct {
	// Redis makes the clients of Redis.
	Redis         *Redis
	ClickHouse    ClickHouse
	Birdeye       Birdeye
	GeckoTerminal GeckoTerminal
	Binance       Binance
	// DuckDBPath is the default of --duckdb.
	DuckDBPath string
	// RollbackWindow is how long after its end a run can be rolled back exactly.
	RollbackWindow time.Duration
	// SweepCron says when dedup sweeps run, in UTC: five fields, or @daily and the like.
	SweepCron string
	Alerts    Alerts
	// DashboardToken is asked of the dashboard's visitors; empty = nobody is asked, and only loopback is served.
	DashboardToken Secret
	// Secrets are all secrets of the environment, to leave them out of what others say.
	Secrets []Secret
	// Traces says that spans are sent. Where to, and how many, the exporter reads from its standard variables itself.
	Traces bool
}

// Alerts says who is told of bad runs. Without a WebhookURL nobody is.
type Alerts struct {
	// WebhookURL is a secret: chat services put the credential into the path.
	WebhookURL Secret
	// WebhookSecret signs what is sent.
	WebhookSecret Secret
	// ErrorRate is the share of failed chunks, 0 to 1, from which on a run is told of.
	ErrorRate float64
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
	// Keys are BIRDEYE_API_KEY and the numbered ones, each once. Each belongs to an account of its own.
	Keys    []Secret
	BaseURL string
	// RPS is the allowance of each account in requests per second.
	RPS float64
}

// GeckoTerminal configures the source of that name, which wants no key.
type GeckoTerminal struct {
	BaseURL string
	// PerMinute is how many requests a minute all workers together send at most: the service counts by address.
	PerMinute float64
}

// Binance configures the source of that name, which wants no key.
type Binance struct {
	BaseURL string
	// DumpURL is where whole days and months are downloaded; empty = nowhere, the API is asked.
	DumpURL string
}

// Defaults. The Redis and ClickHouse ports are the servers' own; 15 requests a second is what Birdeye's smaller plans
// allow; GeckoTerminal documents 30 a minute, and users meet refusals below that; Binance's host for market data only is kinder to shared addresses than its trading hosts; a sweep runs when
// European and American users sleep.
const (
	defaultRedisURL         = "redis://127.0.0.1:6379/0"
	defaultClickHousePort   = 9000
	defaultHTTPPort         = 8123
	defaultBirdeyeURL       = "https://public-api.birdeye.so"
	defaultBirdeyeRPS       = 15
	defaultGeckoTerminalURL = "https://api.geckoterminal.com/api/v2"
	defaultGeckoTerminalRPM = 20
	defaultBinanceURL       = "https://data-api.binance.vision"
	defaultBinanceDumpURL   = "https://data.binance.vision"
	defaultRollbackWindow   = 7 * 24 * time.Hour
	defaultSweepCron        = "30 3 * * *"
	defaultAlertErrorRate   = 0.1
)

// maxNumberedKeys is how far BIRDEYE_API_KEY_1… is looked for; numbers may be left out.
const maxNumberedKeys = 16

// Load reads the configuration. Its error names every variable that is wrong, and never a secret's value.
func Load(getenv func(string) string) (Config, error) {
	r := reader{getenv: getenv}
	cfg := Config{
		Redis:      r.redis("REDIS_URL", defaultRedisURL),
		ClickHouse: r.clickHouse(),
		Birdeye:    r.birdeye(),
		GeckoTerminal: GeckoTerminal{
			BaseURL:   r.httpURL("GECKOTERMINAL_BASE_URL", defaultGeckoTerminalURL),
			PerMinute: r.rate("GECKOTERMINAL_RPM", defaultGeckoTerminalRPM),
		},
		Binance: Binance{
			BaseURL: r.httpURL("BINANCE_BASE_URL", defaultBinanceURL),
			DumpURL: r.optionalURL("BINANCE_DUMP_URL", defaultBinanceDumpURL),
		},
		DuckDBPath:     getenv("DUCKDB_PATH"),
		RollbackWindow: r.duration("QUANTBOT_ROLLBACK_WINDOW", defaultRollbackWindow),
		SweepCron:      r.cron("QUANTBOT_SWEEP_CRON", defaultSweepCron),
		Alerts: Alerts{
			WebhookURL:    r.secretURL("QUANTBOT_ALERT_WEBHOOK_URL"),
			WebhookSecret: r.secret("QUANTBOT_ALERT_WEBHOOK_SECRET"),
			ErrorRate:     r.share("QUANTBOT_ALERT_ERROR_RATE", defaultAlertErrorRate),
		},
		DashboardToken: r.secret("QUANTBOT_DASHBOARD_TOKEN"),
		Secrets:        Secrets(getenv),
		Traces:         r.traces(),
	}
	if len(r.problems) > 0 {
		return Config{}, errors.Join(r.problems...)
	}
	return cfg, nil
}

// Address is host:port of the native protocol, for messages; with a DSN the hosts in it.
func (c ClickHouse) Address() string {
	if _, hosts, err := splitURL(c.DSN.Reveal()); err == nil {
		return hosts
	}
	return net.JoinHostPort(c.Host, strconv.Itoa(c.Port))
}
