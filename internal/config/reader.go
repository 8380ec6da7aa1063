package config

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/robfig/cron/v3"

	"quantbot/internal/secret"
)

// reader reads single variables and collects what is wrong with them instead of stopping at the first. An environment
// library would name struct fields in its errors, not variables, and quote values that must not be seen.
type reader struct {
	getenv   func(string) string
	problems []error
}

func (r *reader) problem(name, format string, args ...any) {
	r.problems = append(r.problems, fmt.Errorf(name+": "+format, args...))
}

func (r *reader) clickHouse() ClickHouse {
	cfg := ClickHouse{
		Host: r.name("CLICKHOUSE_HOST", "127.0.0.1"),
		Port: r.port("CLICKHOUSE_PORT", defaultClickHousePort),
	}
	r.port("CLICKHOUSE_HTTP_PORT", defaultHTTPPort) // for queries of people's own; the programs speak the native protocol
	cfg.Database = r.name("CLICKHOUSE_DATABASE", "quantbot")
	cfg.User = r.name("CLICKHOUSE_USER", "default")
	cfg.Password = r.password("CLICKHOUSE_PASSWORD")
	cfg.DSN = r.dsn("CLICKHOUSE_DSN")
	return cfg
}

// keys returns the values of the variables that are set, each once.
func (r *reader) keys(names []string) []secret.Text {
	var keys []secret.Text
	for _, name := range names {
		if key := r.key(name); key != "" && !slices.Contains(keys, key) {
			keys = append(keys, key)
		}
	}
	return keys
}

func (r *reader) text(name, fallback string) string {
	if value := strings.TrimSpace(r.getenv(name)); value != "" {
		return value
	}
	return fallback
}

// name is text that goes into requests and messages as it is.
func (r *reader) name(variable, fallback string) string {
	value := r.text(variable, fallback)
	r.refuseControl(variable, value)
	return value
}

func (r *reader) secret(name string) secret.Text { return secret.Text(r.name(name, "")) }

// password may begin and end with blanks. A line break at its end is not of it: files and shells leave it there.
func (r *reader) password(name string) secret.Text {
	value := strings.TrimRight(r.getenv(name), "\r\n")
	r.refuseControl(name, value)
	return secret.Text(value)
}

// key is an API key, which travels in a header. With anything else in it no request could be sent, and every chunk would
// wait for a service that nobody asks.
func (r *reader) key(name string) secret.Text {
	key := r.secret(name)
	if strings.ContainsFunc(key.Reveal(), func(c rune) bool { return !unicode.IsControl(c) && (c <= ' ' || c > '~') }) {
		r.problem(name, "a key has no blanks and nothing but ASCII; something was pasted along with it")
	}
	return key
}

func (r *reader) refuseControl(name, value string) {
	if strings.ContainsFunc(value, unicode.IsControl) {
		r.problem(name, "there is a line break or another control character in it; it must be one line")
	}
}

func (r *reader) port(name string, fallback int) int {
	value := r.text(name, strconv.Itoa(fallback))
	port, err := strconv.ParseUint(value, 10, 16)
	if err != nil || port == 0 {
		r.problem(name, "%q is not a port, 1 to 65535", value)
	}
	return int(port)
}

func (r *reader) rate(name string, fallback float64) float64 {
	value := r.text(name, "")
	if value == "" {
		return fallback
	}
	rate, err := strconv.ParseFloat(value, 64)
	if err != nil || !(rate > 0 && rate <= 1e6) { // NaN is neither
		r.problem(name, "%q is not a number of requests per second, above 0 and at most 1000000", value)
	}
	return rate
}

func (r *reader) share(name string, fallback float64) float64 {
	value := r.text(name, "")
	if value == "" {
		return fallback
	}
	share, err := strconv.ParseFloat(value, 64)
	if err != nil || !(share >= 0 && share <= 1) {
		r.problem(name, "%q is not a share, 0 to 1", value)
	}
	return share
}

func (r *reader) duration(name string, fallback time.Duration) time.Duration {
	value := r.text(name, "")
	if value == "" {
		return fallback
	}
	d, err := ParseDuration(value)
	if err != nil || d < 0 {
		r.problem(name, "%q is not a duration such as 7d, 12h or 0", value)
	}
	return d
}

func (r *reader) cron(name, fallback string) string {
	value := r.text(name, fallback)
	if err := CheckCron(value); err != nil {
		r.problem(name, "%v", err)
	}
	return value
}

// CheckCron returns what is wrong with a schedule. The scheduler runs in UTC; the parser also panics on a zone without a
// schedule behind it.
func CheckCron(spec string) error {
	if strings.Contains(spec, "TZ=") {
		return fmt.Errorf("%q names a time zone; schedules are in UTC", spec)
	}
	if _, err := cron.ParseStandard(spec); err != nil {
		return fmt.Errorf(`%q is not a schedule such as "30 3 * * *" or @daily`, spec)
	}
	return nil
}

// httpURL returns the URL without a slash at its end. A user or password in it would reach error texts, so it is refused.
func (r *reader) httpURL(name, fallback string) string {
	value := r.text(name, fallback)
	switch u, err := url.Parse(value); {
	case err != nil || !isHTTP(u):
		r.problem(name, "not an http:// or https:// URL")
	case u.User != nil || u.RawQuery != "" || u.Fragment != "":
		r.problem(name, "a base URL has no user, query or fragment")
	}
	return strings.TrimRight(value, "/")
}

// off is the value of a variable that was set to nothing, where that is not the same as not being set; see Getenv.
const off = "off"

// optionalURL is httpURL for a URL that can be done without.
func (r *reader) optionalURL(name, fallback string) string {
	if r.text(name, fallback) == off {
		return ""
	}
	return r.httpURL(name, fallback)
}

// Getenv is the environment for Load. The variable of an optional place set to nothing leaves the place out, and does not stand for
// the place's default.
func Getenv(lookup func(string) (string, bool), declared []SourceSettings) func(string) string {
	optional := make(map[string]bool)
	for _, settings := range declared {
		for _, place := range settings.Places {
			optional[place.Variable] = place.Optional
		}
	}
	return func(name string) string {
		value, set := lookup(name)
		if optional[name] && set && value == "" {
			return off
		}
		return value
	}
}

// secretURL is httpURL for a URL that is a secret as a whole, and may be missing.
func (r *reader) secretURL(name string) secret.Text {
	value := secret.Text(r.text(name, ""))
	if value == "" {
		return ""
	}
	if u, err := url.Parse(value.Reveal()); err != nil || !isHTTP(u) {
		r.problem(name, "not an http:// or https:// URL")
	}
	return value
}

func isHTTP(u *url.URL) bool {
	return (u.Scheme == "http" || u.Scheme == "https") && u.Hostname() != ""
}

func (r *reader) redis(name, fallback string) *Redis {
	redis, err := ParseRedis(secret.Text(r.text(name, fallback)))
	if err != nil {
		r.problem(name, "%w", err)
	}
	return redis
}

// dsn checks the form only: what the parameters mean is the driver's affair.
func (r *reader) dsn(name string) secret.Text {
	value := secret.Text(r.text(name, ""))
	if value == "" {
		return ""
	}
	if err := checkDSN(value); err != nil {
		r.problem(name, "%w", err)
	}
	return value
}

func checkDSN(value secret.Text) error {
	_, hosts, err := splitURL(value.Reveal())
	if err != nil || hosts == "" {
		return errors.New("not a DSN such as clickhouse://user:password@host:9000/database; in a password @ / ? # and % " +
			"must be percent-encoded")
	}
	return nil
}
