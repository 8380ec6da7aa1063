package clickhouse

import (
	"cmp"
	"crypto/tls"
	"errors"
	"fmt"
	"maps"
	"net"
	"strconv"
	"time"

	driver "github.com/ClickHouse/clickhouse-go/v2"

	"quantbot/internal/manifest"
	"quantbot/internal/secret"
)

// Defaults of Config.
const (
	DefaultHost     = "localhost"
	DefaultPort     = 9000
	DefaultDatabase = "quantbot"
	DefaultUser     = "default"

	// DefaultMaxConns: the chunks of a worker share two inserts (maxFlushes); the finish task and the reconciler hold one
	// connection each and write on another while they read (4); the other ten are for the short reads of chunks, of commands
	// and of checks, which wait for one where all are taken.
	DefaultMaxConns = 16
)

// Timeouts. Each call to the server is bounded by one of them, whatever the caller's context allows.
const (
	// dialTimeout also bounds the wait for a free connection of the pool.
	dialTimeout = 10 * time.Second
	// readTimeout bounds the wait for the next bytes; the server sends progress several times a second.
	readTimeout = 60 * time.Second
	// insertTimeout: an insert of the largest flush takes a tenth of a second; a server that merges hard delays it.
	insertTimeout = 60 * time.Second
	queryTimeout  = 30 * time.Second
	// streamTimeout bounds readers that hand rows on while the server sends them.
	streamTimeout  = 15 * time.Minute
	migrateTimeout = 2 * time.Minute
)

// Config says where ClickHouse is. Zero values mean the defaults above.
type Config struct {
	Host     string
	Port     int // of the native protocol
	Database string
	User     string
	Password secret.Text
	// DSN (clickhouse://user:password@host:port/database?secure=true) replaces all of the above.
	DSN secret.Text
	// TLS encrypts the connection; nil = plain text, unless the DSN says secure=true.
	TLS *tls.Config `json:"-"`
	// Secrets are what no error of the server may carry on.
	Secrets manifest.Secrets `json:"-"`
	// MaxConns bounds the pool.
	MaxConns int
	// RollbackWindow is how long a run must have been over before inline dedup skips candles for its sake.
	RollbackWindow time.Duration
}

// options translates the configuration for the driver.
func (c Config) options() (*driver.Options, error) {
	options, err := c.address()
	if err != nil {
		return nil, err
	}
	options.Auth.Database = cmp.Or(options.Auth.Database, DefaultDatabase)
	options.Auth.Username = cmp.Or(options.Auth.Username, DefaultUser)
	options.MaxOpenConns = cmp.Or(c.MaxConns, DefaultMaxConns)
	// Half of the pool stays open: opening a connection costs about three round trips, idling nothing.
	options.MaxIdleConns = max(1, options.MaxOpenConns/2)
	options.ConnMaxLifetime = time.Hour
	options.DialTimeout = dialTimeout
	options.ReadTimeout = readTimeout
	// LZ4 costs a core about a tenth of what building the columns does and halves what goes over the wire.
	options.Compression = &driver.Compression{Method: driver.CompressionLZ4}
	if options.Settings == nil {
		options.Settings = driver.Settings{}
	}
	maps.Copy(options.Settings, queriesRelyOn)
	return options, nil
}

// queriesRelyOn are the settings under which our queries mean what they say. A user's profile may have others; what has
// the same value there already may be set even where the profile forbids changes.
var queriesRelyOn = driver.Settings{
	// See the package comment: an insert that returned is stored.
	"async_insert": 0,
	// What names, joins, groups and empty sets mean.
	"prefer_column_name_to_alias": 0, "enable_positional_arguments": 1, "join_use_nulls": 0, "group_by_use_nulls": 0, "transform_null_in": 0,
	"aggregate_functions_null_for_empty": 0, "empty_result_for_aggregation_by_empty_set": 0, "data_type_default_nullable": 0, "cast_keep_nullable": 0,
	"union_default_mode": "", "joined_subquery_requires_alias": 1, "session_timezone": "",
	// Nothing is added to a result or cut from it, estimated, older than the question, or deleted.
	"final": 0, "extremes": 0, "limit": 0, "offset": 0,
	"count_distinct_implementation": "uniqExact", "use_query_cache": 0, "apply_deleted_mask": 1,
	// What exceeds a limit of the profile is an error: half a result would be taken for the whole.
	"timeout_overflow_mode": "throw", "read_overflow_mode": "throw", "read_overflow_mode_leaf": "throw", "result_overflow_mode": "throw",
	"group_by_overflow_mode": "throw", "sort_overflow_mode": "throw", "distinct_overflow_mode": "throw", "join_overflow_mode": "throw",
	"set_overflow_mode": "throw", "transfer_overflow_mode": "throw",
}

func (c Config) address() (*driver.Options, error) {
	if c.DSN == "" {
		port := strconv.Itoa(cmp.Or(c.Port, DefaultPort))
		return &driver.Options{
			Addr: []string{net.JoinHostPort(cmp.Or(c.Host, DefaultHost), port)},
			Auth: driver.Auth{Database: c.Database, Username: c.User, Password: string(c.Password)},
			TLS:  c.TLS,
		}, nil
	}
	options, err := driver.ParseDSN(string(c.DSN))
	if err != nil {
		// The driver's error quotes parts of the DSN: better no detail than a password.
		return nil, errors.New("read the ClickHouse DSN: it is malformed (expected clickhouse://user:password@host:9000/database, special characters URL-encoded)")
	}
	if options.Protocol != driver.Native {
		return nil, fmt.Errorf("read the ClickHouse DSN: only the native protocol is spoken: use clickhouse:// and the native port, not %s", "http://")
	}
	if c.TLS != nil {
		options.TLS = c.TLS
	}
	return options, nil
}
