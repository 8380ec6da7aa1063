package budget

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// Account is what a service counts requests by: the account that a key belongs to, or, without keys, everybody together.
type Account struct {
	Source string
	// ID distinguishes the accounts of a source and is the same on all machines; the key cannot be read from it.
	ID string
}

// NewAccount is the account of a key; an empty key means that the service wants none.
func NewAccount(source, key string) Account {
	if key == "" {
		return Account{Source: source, ID: "keyless"}
	}
	sum := sha256.Sum256([]byte("quantbot budget of " + source + "\x00" + key))
	return Account{Source: source, ID: hex.EncodeToString(sum[:6])}
}

const (
	keyPrefix  = "quantbot:budget:"
	knownKey   = "quantbot:budgets" // when each account was first used here, as source/id
	forgetLate = 30 * 24 * time.Hour
)

// keys share a slot of a Redis Cluster.
func (a Account) keys() []string {
	state := keyPrefix + "{" + a.Source + "/" + a.ID + "}"
	return []string{state, state + ":members", state + ":moments"}
}

// Status is what Redis knows of an account.
type Status struct {
	Account Account `json:"-"`
	Source  string  `json:"source"`
	ID      string  `json:"account"`
	// PerSecond is how fast the account is asked now; Configured how fast it may be.
	PerSecond  float64 `json:"per_second"`
	Configured float64 `json:"configured_per_second"`
	// Workers have asked within the last 30 s.
	Workers int64 `json:"workers"`
	// PausedUntil and ParkedUntil are zero unless they lie ahead.
	PausedUntil time.Time `json:"paused_until,omitzero"`
	ParkedUntil time.Time `json:"parked_until,omitzero"`
}

// Register makes the account known, so that List finds it.
func Register(ctx context.Context, client redis.UniversalClient, a Account, now time.Time) error {
	name := a.Source + "/" + a.ID
	if err := client.ZAdd(ctx, knownKey, redis.Z{Score: float64(now.Unix()), Member: name}).Err(); err != nil {
		return fmt.Errorf("register the budget of %s: %w", a.Source, err)
	}
	oldest := fmt.Sprint(now.Add(-forgetLate).Unix())
	return client.ZRemRangeByScore(ctx, knownKey, "-inf", oldest).Err()
}

// List returns what Redis knows of all accounts, by source.
func List(ctx context.Context, client redis.UniversalClient) ([]Status, error) {
	names, err := client.ZRange(ctx, knownKey, 0, -1).Result()
	if err != nil {
		return nil, fmt.Errorf("list the budgets: %w", err)
	}
	slices.Sort(names)
	all := make([]Status, 0, len(names))
	for _, name := range names {
		source, id, _ := strings.Cut(name, "/")
		status, err := look(ctx, client, Account{Source: source, ID: id})
		if err != nil {
			return nil, err
		}
		all = append(all, status)
	}
	return all, nil
}

func look(ctx context.Context, client redis.UniversalClient, a Account) (Status, error) {
	s := Status{Account: a, Source: a.Source, ID: a.ID}
	values, err := lookScript.Run(ctx, client, a.keys()).Slice()
	var now, parked, paused, interval, configured int64
	if err == nil {
		err = scan(values, &now, &parked, &paused, &interval, &configured, &s.Workers)
	}
	if err != nil {
		return s, fmt.Errorf("look at the budget of %s: %w", a.Source, err)
	}
	if configured > 0 {
		s.Configured = headroomOff(configured)
		s.PerSecond = headroomOff(max(interval, configured))
	}
	if paused > now {
		s.PausedUntil = time.UnixMicro(paused).UTC()
	}
	if parked > now {
		s.ParkedUntil = time.UnixMicro(parked).UTC()
	}
	return s, nil
}

func headroomOff(interval int64) float64 { return 1e6 / float64(interval) / headroom }

// ParkedUntil is when the source goes on by itself, or the zero time while any of its accounts can be asked. An account
// that nobody has now, of a key that was replaced for example, cannot.
func ParkedUntil(all []Status, source string) (until time.Time) {
	return heldUntil(all, source, func(s Status) time.Time { return s.ParkedUntil })
}

// PausedUntil is ParkedUntil for what pauses or is parked.
func PausedUntil(all []Status, source string) (until time.Time) {
	return heldUntil(all, source, func(s Status) time.Time {
		if s.ParkedUntil.After(s.PausedUntil) {
			return s.ParkedUntil
		}
		return s.PausedUntil
	})
}

func heldUntil(all []Status, source string, held func(Status) time.Time) (until time.Time) {
	for _, s := range all {
		if s.Source != source || held(s).IsZero() && s.Workers == 0 {
			continue
		}
		if held(s).IsZero() {
			return time.Time{}
		}
		if until.IsZero() || held(s).Before(until) {
			until = held(s)
		}
	}
	return until
}

// Unpark lets all accounts of a source be asked again at once. It returns how many were parked or pausing.
func Unpark(ctx context.Context, client redis.UniversalClient, source string) (unparked int, err error) {
	all, err := List(ctx, client)
	if err != nil {
		return 0, err
	}
	for _, s := range all {
		if s.Source != source {
			continue
		}
		values, err := unparkScript.Run(ctx, client, s.Account.keys()[:1]).Slice()
		var was int64
		if err == nil {
			err = scan(values, &was)
		}
		if err != nil {
			return unparked, fmt.Errorf("unpark %s: %w", source, err)
		}
		unparked += int(was)
	}
	return unparked, nil
}
