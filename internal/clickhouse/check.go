package clickhouse

import (
	"context"
	"fmt"
	"time"

	"quantbot/internal/backfill"
)

// The oldest version that the project is tested with, and how far the clocks may be apart: the queue's leases last 30 s
// by the workers' clocks.
const (
	minMajorVersion = 25
	maxClockSkew    = 5 * time.Second
)

// Level is how serious a finding is.
type Level string

// The levels. A warning leaves the program able to work.
const (
	LevelOK      Level = "ok"
	LevelWarning Level = "warning"
	LevelError   Level = "error"
)

// Finding is one thing that Check looked at.
type Finding struct {
	Name   string `json:"name"`
	Level  Level  `json:"level"`
	Detail string `json:"detail"`
	// Hint says what to do; empty when all is well.
	Hint string `json:"hint,omitempty"`
}

// Check looks at everything that a person may have to put right. It changes nothing.
func (db *DB) Check(ctx context.Context, now func() time.Time) []Finding {
	ctx, cancel := context.WithTimeout(ctx, queryTimeout)
	defer cancel()
	if err := db.Ping(ctx); err != nil {
		return []Finding{{Name: "clickhouse", Level: LevelError, Detail: err.Error(), Hint: "start ClickHouse, or correct its address"}}
	}
	schema := db.checkSchema(ctx)
	if exists, err := db.databaseExists(ctx); err != nil || !exists {
		return []Finding{schema} // there is nothing to connect to
	}
	findings := append(db.checkServer(ctx, now), db.checkRights(ctx), schema, db.checkDeployment(ctx))
	return append(findings, db.checkDisks(ctx)...)
}

// How much room a disk must have: below little a merge of a large part may not fit, below none inserts fail soon.
const (
	littleSpace = 5 << 30
	noSpace     = 512 << 20
)

// DiskFinding reports how full a disk is.
func DiskFinding(name, what string, free, whole uint64) Finding {
	const gigabyte = 1 << 30
	f := Finding{Name: name, Level: LevelOK, Detail: fmt.Sprintf("%.1f of %.1f GiB free on %s", float64(free)/gigabyte, float64(whole)/gigabyte, what)}
	switch {
	case free < noSpace:
		f.Level, f.Hint = LevelError, "make room now, or nothing is stored any more: quantbot ohlcv dedup-sweep, or a larger disk"
	case free < littleSpace && free < whole/10:
		f.Level, f.Hint = LevelWarning, "make room before it is full: quantbot ohlcv dedup-sweep, or a larger disk"
	}
	return f
}

// unbounded is more than any disk has: what stores report that have no end.
const unbounded = 1 << 60

// checkDisks is lenient: not everybody may read the server's tables of itself.
func (db *DB) checkDisks(ctx context.Context) []Finding {
	type disk struct {
		Name  string `ch:"name"`
		Free  uint64 `ch:"unreserved_space"`
		Whole uint64 `ch:"total_space"`
	}
	const name = "clickhouse disk"
	disks, err := selectStructs[disk](ctx, db, checkDisksSQL)
	if err != nil {
		return []Finding{{Name: name, Level: LevelWarning, Detail: "could not be checked: " + db.explain(err).Error(), Hint: "nothing, if inserts work"}}
	}
	var findings []Finding
	for _, d := range disks {
		if d.Whole > 0 && d.Whole < unbounded {
			findings = append(findings, DiskFinding(name, "disk "+d.Name+" of ClickHouse", d.Free, d.Whole))
		}
	}
	return findings
}

func (db *DB) checkServer(ctx context.Context, now func() time.Time) []Finding {
	var version string
	var micros int64
	before := now()
	if err := db.conn.QueryRow(ctx, checkServerSQL).Scan(&version, &micros); err != nil {
		return []Finding{{Name: "clickhouse version", Level: LevelError, Detail: db.explain(err).Error(), Hint: "look into the server's log"}}
	}
	// The server read its clock somewhere between both of ours.
	between := before.Add(now().Sub(before) / 2)
	return []Finding{checkVersion(version, db.addr), checkSkew(time.UnixMicro(micros).Sub(between))}
}

func checkVersion(version, addr string) Finding {
	finding := Finding{Name: "clickhouse version", Level: LevelOK, Detail: fmt.Sprintf("%s at %s", version, addr)}
	var major int
	if _, err := fmt.Sscanf(version, "%d.", &major); err != nil || major < minMajorVersion {
		finding.Level = LevelWarning
		finding.Hint = fmt.Sprintf("quantbot is tested with ClickHouse %d and newer: upgrade the server", minMajorVersion)
	}
	return finding
}

func checkSkew(skew time.Duration) Finding {
	finding := Finding{Name: "clickhouse clock", Level: LevelOK, Detail: fmt.Sprintf("%s apart from this machine", skew.Abs().Round(time.Millisecond))}
	if skew.Abs() > maxClockSkew {
		finding.Level = LevelWarning
		finding.Hint = "synchronise the clocks of both machines (NTP)"
	}
	return finding
}

// insertChecks ask for the right to insert into what runs cannot do without, table by table: a user may have been granted no
// more than that.
var insertChecks = [...]insertCheck{ // the candles first
	{"ohlcv_candle_versions", checkInsertCandlesSQL},
	{"ohlcv_ingestion_tasks", checkInsertTasksSQL},
	{"ohlcv_run_lifecycle", checkInsertLifecycleSQL},
	// Who cannot say which Redis the database goes with stores nothing: another one could not be distinguished from it.
	{"ohlcv_deployment_redis", checkInsertDeploymentRedisSQL},
	{"ohlcv_deployment_signs", checkInsertDeploymentSignsSQL},
}

type insertCheck struct{ table, query string }

// CheckWritable returns a sentence when our user is known not to be able to store candles, or when the server does not
// answer. A server that cannot say which rights we have may still grant them.
func (db *DB) CheckWritable(ctx context.Context) error { return db.checkWritable(ctx, insertChecks[:]) }

// CheckHistoryWritable is CheckWritable for a process that starts runs and stores no candles.
func (db *DB) CheckHistoryWritable(ctx context.Context) error {
	return db.checkWritable(ctx, insertChecks[1:])
}

func (db *DB) checkWritable(ctx context.Context, checks []insertCheck) error {
	ctx, cancel := context.WithTimeout(ctx, queryTimeout)
	defer cancel()
	var readonly uint8
	if err := db.conn.QueryRow(ctx, checkReadonlySQL).Scan(&readonly); err != nil {
		return db.unlessItCannotSay("ask whether candles can be stored", err)
	}
	if readonly != 0 {
		return lacksRight(fmt.Errorf("user %q of ClickHouse at %s may only read (setting readonly of its profile): quantbot cannot write with it", db.user, db.addr))
	}
	for _, check := range checks {
		var granted uint8
		if err := db.conn.QueryRow(ctx, check.query).Scan(&granted); err != nil {
			return db.unlessItCannotSay("ask whether candles can be stored", err)
		}
		if granted == 0 {
			return lacksRight(fmt.Errorf("user %[1]q of ClickHouse at %[2]s may not insert into %[3]s: GRANT SELECT, INSERT ON %[4]s.* TO %[1]s", db.user, db.addr, check.table, db.database))
		}
	}
	return nil
}

func lacksRight(err error) error {
	return &backfill.ClassError{Class: backfill.ClassStore, Reason: backfill.WaitRights, Err: err}
}

// unlessItCannotSay drops errors of a server that answers and does not know the question.
func (db *DB) unlessItCannotSay(action string, err error) error {
	if db.waitReason(err) == backfill.WaitOther {
		return nil
	}
	return db.Failed(action, err)
}

// checkRights is lenient: a server that cannot say which rights we have may still grant them.
func (db *DB) checkRights(ctx context.Context) Finding {
	finding := Finding{Name: "clickhouse rights", Level: LevelOK, Detail: fmt.Sprintf("user %s may create, insert and select in %s", db.user, db.database)}
	var granted, readonly uint8
	err := db.conn.QueryRow(ctx, checkRightsSQL).Scan(&granted)
	if err == nil {
		err = db.conn.QueryRow(ctx, checkReadonlySQL).Scan(&readonly)
	}
	switch {
	case err != nil:
		finding.Level, finding.Detail = LevelWarning, "could not be checked: "+err.Error()
		finding.Hint = "nothing, if inserts work"
	case readonly != 0:
		finding.Level, finding.Detail = LevelError, fmt.Sprintf("user %s may only read (setting readonly of its profile)", db.user)
		finding.Hint = "give it another profile, or set CLICKHOUSE_USER to a user that may write"
	case granted == 0:
		finding.Level, finding.Detail = LevelWarning, fmt.Sprintf("user %s lacks a right on %s", db.user, db.database)
		finding.Hint = fmt.Sprintf("GRANT SELECT, INSERT, CREATE TABLE, CREATE VIEW ON %s.* TO %s", db.database, db.user)
	}
	return finding
}

func (db *DB) checkSchema(ctx context.Context) Finding {
	migrations, err := db.MigrationStatus(ctx)
	if err != nil {
		return Finding{Name: "clickhouse schema", Level: LevelError, Detail: err.Error(), Hint: "correct the address, the user or the password"}
	}
	applied := 0
	for _, m := range migrations {
		if m.Applied {
			applied++
		}
	}
	finding := Finding{Name: "clickhouse schema", Level: LevelOK, Detail: fmt.Sprintf("%d of %d migrations applied in %s", applied, len(migrations), db.database)}
	if applied < len(migrations) {
		finding.Level, finding.Hint = LevelWarning, "run: quantbot migrate"
	}
	return finding
}
