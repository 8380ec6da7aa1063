package ledger

import (
	"context"
	"embed"
	"errors"
	"fmt"

	"github.com/redis/go-redis/v9"

	"quantbot/internal/backfill"
)

//go:embed scripts/*.lua
var scriptFiles embed.FS

// The scripts; what each takes and returns stands in its file.
var (
	abandonScript      = loadScript("abandon")
	admitScript        = loadScript("admit")
	archiveScript      = loadScript("archive")
	bindingScript      = loadScript("binding")
	cancelScript       = loadScript("cancel")
	claimInputScript   = loadScript("claim_input")
	confirmInputScript = loadScript("confirm_input")
	endCancelledScript = loadScript("end_cancelled")
	freezeScript       = loadScript("freeze")
	handBackScript     = loadScript("hand_back")
	heartbeatScript    = loadScript("heartbeat")
	leaseScript        = loadScript("lease")
	lockScript         = loadScript("lock")
	keepLockScript     = loadScript("keep_lock")
	markScript         = loadScript("mark")
	momentScript       = loadScript("moment")
	countScript        = loadScript("count")
	expiredScript      = loadScript("expired")
	regenerateScript   = loadScript("regenerate")
	renewScript        = loadScript("renew")
	restoreScript      = loadScript("restore")
	wantedScript       = loadScript("wanted")
	ofAttemptScript    = loadScript("of_attempt")
	openScript         = loadScript("open")
	recordScript       = loadScript("record")
	releaseScript      = loadScript("release")
	sealScript         = loadScript("seal")
	settleScript       = loadScript("settle")
	stateScript        = loadScript("state")
	storePlanScript    = loadScript("store_plan")
	takeOverScript     = loadScript("take_over")
	waitScript         = loadScript("wait")
)

type script struct {
	name string
	lua  *redis.Script
}

// loadScript panics when the file is missing, which the compiler's embed makes impossible to ship unnoticed.
func loadScript(name string) script {
	source, err := scriptFiles.ReadFile("scripts/" + name + ".lua")
	if err != nil {
		panic(err)
	}
	return script{name: name, lua: redis.NewScript(string(source))}
}

// run executes the script by its hash, and by its source where Redis does not have it (after a restart or flush). The
// words that mean the same in every script become errors.
func (l *Ledger) run(ctx context.Context, s script, keys []string, args ...any) (reply, error) {
	values, err := s.lua.Run(ctx, l.client, keys, args...).Slice()
	if err != nil {
		return nil, redisError("run script "+s.name, err)
	}
	r := reply(values)
	switch r.status() {
	case "unknown":
		return r, backfill.ErrUnknownRun
	case "stale":
		return r, backfill.ErrStale
	case "finished":
		return r, backfill.ErrFinished
	case "not_done":
		return r, backfill.ErrNotDone
	}
	return r, nil
}

// reply is what a script returned: a status, then strings and integers as its file documents. Scripts are part of this
// program, so a reply of another shape is a bug and panics.
type reply []any

func (r reply) status() string     { return r.text(0) }
func (r reply) text(i int) string  { return r[i].(string) }
func (r reply) number(i int) int64 { return r[i].(int64) }

// redisError classes trouble with Redis: our own store did not answer. A caller that gave up is no trouble.
func redisError(did string, err error) error {
	err = fmt.Errorf("%s: %w", did, err)
	if errors.Is(err, context.Canceled) {
		return err
	}
	return &backfill.ClassError{Class: backfill.ClassStore, Reason: Reason(err), Err: err}
}

func flag(set bool) string {
	if set {
		return "1"
	}
	return "0"
}
