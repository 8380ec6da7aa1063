package ledger

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// Warning says what about Redis may cost a run, and what to do.
type Warning struct {
	// Setting is what is wrong: "version" or the name of Redis' setting.
	Setting string
	// Value is what Redis has; empty when it does not say.
	Value  string
	Advice string
}

// String is the warning as one sentence.
func (w Warning) String() string {
	value := w.Value
	if value == "" {
		value = "unreadable"
	}
	return fmt.Sprintf("redis %s is %s: %s", w.Setting, value, w.Advice)
}

// The settings that the ledger and the queue rely on.
var wantedSettings = []struct{ name, value, advice string }{
	{"maxmemory-policy", "noeviction", "set it to noeviction, or tasks and runs vanish when the memory is full"},
	{"appendonly", "yes", "set it to yes, or a restart of Redis loses what the last snapshot lacks"},
}

// Now is the time by Redis' clock.
func (l *Ledger) Now(ctx context.Context) (time.Time, error) {
	now, err := l.client.Time(ctx).Result()
	if err != nil {
		return time.Time{}, fmt.Errorf("read the clock of Redis: %w", err)
	}
	return now.UTC(), nil
}

// Check reads version and settings of Redis and returns what to warn of. It fails only when Redis does not answer: a
// hosted Redis that hides its version or settings is a warning.
func (l *Ledger) Check(ctx context.Context) ([]Warning, error) {
	info, err := l.client.Info(ctx, "server").Result()
	if _, refused := errors.AsType[redis.Error](err); err != nil && !refused {
		return nil, redisError("read the version", err)
	}
	var warnings []Warning
	if version := infoField(info, "redis_version"); !versionAtLeast(version, 6, 2) {
		warnings = append(warnings, Warning{Setting: "version", Value: version, Advice: "use 6.2 or newer"})
	}
	for _, want := range wantedSettings {
		// An error means that CONFIG is forbidden: Redis itself has just answered.
		settings, err := l.client.ConfigGet(ctx, want.name).Result()
		if value := settings[want.name]; err != nil || value != want.value {
			warnings = append(warnings, Warning{Setting: want.name, Value: value, Advice: want.advice})
		}
	}
	if full, ok := l.memoryFull(ctx); ok && full >= muchMemory {
		warnings = append(warnings, Warning{
			Setting: "memory", Value: fmt.Sprintf("%.0f %% full", full*100), Advice: "raise maxmemory, or runs can no longer be started or recorded",
		})
	}
	return warnings, nil
}

// muchMemory is the share of maxmemory from which on to warn.
const muchMemory = 0.9

// memoryFull is the share of its limit that Redis uses; ok is false where it has none, or hides it.
func (l *Ledger) memoryFull(ctx context.Context) (share float64, ok bool) {
	info, err := l.client.Info(ctx, "memory").Result()
	if err != nil {
		return 0, false
	}
	used, usedErr := strconv.ParseFloat(infoField(info, "used_memory"), 64)
	limit, limitErr := strconv.ParseFloat(infoField(info, "maxmemory"), 64)
	if usedErr != nil || limitErr != nil || limit <= 0 {
		return 0, false
	}
	return used / limit, true
}

// infoField picks "name:value" out of the lines that INFO returns.
func infoField(info, name string) string {
	for line := range strings.Lines(info) {
		if value, ok := strings.CutPrefix(line, name+":"); ok {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

func versionAtLeast(version string, major, minor int) bool {
	first, rest, _ := strings.Cut(version, ".")
	second, _, _ := strings.Cut(rest, ".")
	haveMajor, err := strconv.Atoi(first)
	if err != nil {
		return false
	}
	haveMinor, err := strconv.Atoi(second)
	if err != nil {
		return false
	}
	return haveMajor > major || (haveMajor == major && haveMinor >= minor)
}
