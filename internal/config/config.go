// Package config is the environment contract that enqueuer and worker share: which variables there are, what they mean,
// and what they default to. It reads no environment itself; cmd/ hands it a getenv function.
package config

import (
	"errors"
	"net"
	"strconv"
	"time"

	"quantbot/internal/secret"
)

// Config is the environment, read and checked.
type Config struct {
	// Redis makes the clients of Redis.
	Redis      *Redis
	ClickHouse ClickHouse
	// Sources are the market-data sources by their names.
	Sources map[string]Source
	// RollbackWindow is how long after its end a run can be rolled back exactly.
	RollbackWindow time.Duration
	// SweepCron says when dedup sweeps run, in UTC: five fields, or @daily and the like.
	SweepCron string
	Alerts    Alerts
	// DashboardToken is asked of the dashboard's visitors; empty = nobody is asked, and only loopback is served.
	DashboardToken secret.Text
	// Secrets are all secrets of the environment, to leave them out of what others say.
	Secrets []secret.Text
	// Traces says that spans are sent. Where to, and how many, the exporter reads from its standard variables itself.
	Traces bool
}

// Alerts says where alerts about bad runs are sent. Without a WebhookURL they are sent nowhere.
type Alerts struct {
	// WebhookURL is a secret: chat services put the credential into the path.
	WebhookURL secret.Text
	// WebhookSecret signs what is sent.
	WebhookSecret secret.Text
	// ErrorRate is the share of failed chunks, 0 to 1, from which on an alert is sent.
	ErrorRate float64
}

// ClickHouse says where the server is. DSN, when set, stands for all the others.
type ClickHouse struct {
	Host     string
	Port     int // native protocol
	Database string
	User     string
	Password secret.Text
	DSN      secret.Text
}

// Defaults. The Redis and ClickHouse ports are the servers' own; a sweep runs when European and American users sleep.
const (
	defaultRedisURL       = "redis://127.0.0.1:6379/0"
	defaultClickHousePort = 9000
	defaultHTTPPort       = 8123
	defaultRollbackWindow = 7 * 24 * time.Hour
	defaultSweepCron      = "30 3 * * *"
	defaultAlertErrorRate = 0.1
)

// Load reads the configuration, with the settings that these sources declare. Its error names every variable that is wrong, and
// never a secret's value.
func Load(getenv func(string) string, declared []SourceSettings) (Config, error) {
	r := reader{getenv: getenv}
	cfg := Config{
		Redis:          r.redis("REDIS_URL", defaultRedisURL),
		ClickHouse:     r.clickHouse(),
		Sources:        r.sources(declared),
		RollbackWindow: r.duration("QUANTBOT_ROLLBACK_WINDOW", defaultRollbackWindow),
		SweepCron:      r.cron("QUANTBOT_SWEEP_CRON", defaultSweepCron),
		Alerts: Alerts{
			WebhookURL:    r.secretURL("QUANTBOT_ALERT_WEBHOOK_URL"),
			WebhookSecret: r.secret("QUANTBOT_ALERT_WEBHOOK_SECRET"),
			ErrorRate:     r.share("QUANTBOT_ALERT_ERROR_RATE", defaultAlertErrorRate),
		},
		DashboardToken: r.secret("QUANTBOT_DASHBOARD_TOKEN"),
		Secrets:        Secrets(getenv, declared),
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
