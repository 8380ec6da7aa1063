package cli

import (
	"context"
	"errors"
	"fmt"

	"quantbot/internal/backfill"
	"quantbot/internal/clickhouse"
	"quantbot/internal/config"
	"quantbot/internal/source/register"
	"quantbot/internal/wiring"
)

func (a *app) examineRedis(ctx context.Context, cfg config.Config) []clickhouse.Finding {
	stores, err := wiring.OpenRedis(ctx, cfg)
	if err != nil {
		return []clickhouse.Finding{{Name: "redis", Level: clickhouse.LevelError, Detail: err.Error(), Hint: "start Redis 6.2 or newer, set REDIS_URL, or use --local"}}
	}
	defer stores.Close()
	findings := []clickhouse.Finding{{Name: "redis", Level: clickhouse.LevelOK, Detail: "answers"}}
	warnings, err := stores.Ledger.Check(ctx)
	if err != nil {
		findings = append(findings, clickhouse.Finding{Name: "redis settings", Level: clickhouse.LevelWarning, Detail: err.Error()})
	}
	for _, w := range warnings {
		findings = append(findings, clickhouse.Finding{Name: "redis " + w.Setting, Level: clickhouse.LevelWarning, Detail: w.Value, Hint: w.Advice})
	}
	findings = append(findings, examineQueues(ctx, stores)...)
	return append(findings, a.examineWork(ctx, stores)...)
}

// examineWork says who works, and what workers wait for.
func (a *app) examineWork(ctx context.Context, stores *wiring.Stores) []clickhouse.Finding {
	var findings []clickhouse.Finding
	failed := func(name string, err error) {
		findings = append(findings, clickhouse.Finding{Name: name, Level: clickhouse.LevelWarning, Detail: err.Error()})
	}
	workers, err := stores.Queue.Workers()
	if err != nil {
		failed("workers", err)
	} else if workers > 0 {
		findings = append(findings, clickhouse.Finding{Name: "workers", Level: clickhouse.LevelOK, Detail: counted(workers, "worker") + " running"})
	}
	active, err := stores.Ledger.ActiveRuns(ctx)
	if err != nil {
		failed("runs", err)
	}
	for _, w := range stores.Fleet.Waits(ctx, a.now()) {
		f := clickhouse.Finding{Name: "wait for " + w.On, Level: clickhouse.LevelError, Detail: w.String(), Hint: waitHint(w)}
		switch {
		case w.Workers > 0:
			f.Detail += fmt.Sprintf(" (%s)", counted(w.Workers, "worker"))
		case w.Reason == backfill.WaitNoWorker:
			f.Name = "workers"
		}
		if len(active) == 0 || w.Reason == backfill.WaitPaused || w.Reason == backfill.WaitParked {
			f.Level = clickhouse.LevelWarning // nobody waits, or it ends by itself
		}
		findings = append(findings, f)
	}
	return findings
}

// waitHint says what to do about what workers wait for.
func waitHint(w backfill.Wait) string {
	switch w.Reason {
	case backfill.WaitNoWorker:
		return "runs that were started wait for it"
	case backfill.WaitPaused, backfill.WaitParked:
		return "it goes on by itself then, or at once with: " + programName() + " ohlcv sources-unpark " + w.On
	case backfill.WaitSourceDown, backfill.WaitNoAnswer:
		return "nothing is lost: chunks go on by themselves when it answers; look at its status page, address and network"
	case backfill.WaitRights, backfill.WaitLogin:
		return "correct the user, its password or its grants: what was fetched is kept and stored then"
	case backfill.WaitDisk, backfill.WaitMemory, backfill.WaitParts, backfill.WaitQuota, backfill.WaitOverload:
		return "give the server room: what was fetched is kept and stored then"
	}
	return "put it right: what was fetched is kept and stored then"
}

// examineQueues names what asynq leaves in its queues for ever. Workers mend it, so it is there only for a moment, or while none runs.
func examineQueues(ctx context.Context, stores *wiring.Stores) []clickhouse.Finding {
	strays, err := stores.Queue.Strays(ctx)
	var findings []clickhouse.Finding
	for _, s := range strays {
		detail := fmt.Sprintf("%s active without a lease, %s without a task, %s that cannot be decoded",
			counted(s.WithoutLease, "task"), counted(s.WithoutTask, "id"), counted(len(s.Undecodable), "task"))
		if len(s.Undecodable) > 0 {
			detail += ", such as " + s.Undecodable[0]
		}
		findings = append(findings, clickhouse.Finding{
			Name: "queue " + s.Queue, Level: clickhouse.LevelWarning, Detail: detail,
			Hint: "workers mend this within two minutes: start one; when it comes back, look for who else writes to this Redis, or for an eviction policy",
		})
	}
	if err != nil {
		findings = append(findings, clickhouse.Finding{Name: "queues", Level: clickhouse.LevelWarning, Detail: err.Error()})
	}
	return findings
}

func (a *app) examineClickHouse(ctx context.Context, cfg config.Config) []clickhouse.Finding {
	history, err := wiring.OpenHistory(ctx, cfg, a.logger())
	if err != nil {
		hint := "start ClickHouse, set CLICKHOUSE_HOST, or use --local"
		if errors.Is(err, context.Canceled) {
			hint = ""
		}
		return []clickhouse.Finding{{Name: "clickhouse", Level: clickhouse.LevelError, Detail: err.Error(), Hint: hint}}
	}
	defer history.Close()
	return history.Check(ctx, a.now)
}

// examineDeployment compares what Redis and ClickHouse say about whom they belong to. It changes nothing, and leaves it to the
// others to say that one of the two does not answer.
func (a *app) examineDeployment(ctx context.Context, cfg config.Config) []clickhouse.Finding {
	stores, err := wiring.OpenRedis(ctx, cfg)
	if err != nil {
		return nil
	}
	defer stores.Close()
	if stores.History, err = wiring.OpenHistory(ctx, cfg, a.logger()); err != nil {
		return nil
	}
	const name = "redis and clickhouse"
	binding, err := stores.Examine(ctx, cfg, a.logger())
	_, stranger := errors.AsType[*backfill.StrangerError](err)
	switch {
	case stranger:
		return []clickhouse.Finding{{Name: name, Level: clickhouse.LevelError, Detail: err.Error(), Hint: "see docs/operations.md, Deployments"}}
	case err != nil:
		return nil // the tables are missing, which is said already
	}
	together := clickhouse.Finding{Name: name, Level: clickhouse.LevelOK, Detail: "belong together: deployment " + binding.DeploymentID.String()}
	return append([]clickhouse.Finding{together}, examineServices(ctx, cfg, stores.History)...)
}

// examineServices says when a source that was asked before would be asked elsewhere now: workers do not start then.
func examineServices(ctx context.Context, cfg config.Config, history *clickhouse.DB) []clickhouse.Finding {
	const name = "services"
	known, err := history.Services(ctx)
	if err != nil {
		return []clickhouse.Finding{{Name: name, Level: clickhouse.LevelWarning, Detail: err.Error()}}
	}
	var findings []clickhouse.Finding
	for _, source := range register.Names() {
		if len(known[source]) == 0 {
			continue
		}
		if err := wiring.Services(cfg, history).Check(ctx, source); err != nil {
			findings = append(findings, clickhouse.Finding{Name: name, Level: clickhouse.LevelError, Detail: err.Error(), Hint: "see docs/operations.md, Services"})
		}
	}
	return findings
}
