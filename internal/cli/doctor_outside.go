package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"quantbot/internal/backfill"
	"quantbot/internal/clickhouse"
	"quantbot/internal/config"
	"quantbot/internal/local"
	"quantbot/internal/manifest"
	"quantbot/internal/source/budget"
	"quantbot/internal/source/register"
	"quantbot/internal/wiring"
)

// examineSources asks each source that this deployment has used, or whose address is set, one question. Where a question costs
// credits it is left out unless askAll.
func (a *app) examineSources(ctx context.Context, cfg config.Config, askAll bool) []clickhouse.Finding {
	ctx, cancel := context.WithTimeout(ctx, 2*backfill.SilentAfter) // the stores, then the sources
	defer cancel()
	stores, err := wiring.OpenRedis(ctx, cfg)
	if err != nil {
		return nil // it is said already; nobody may be asked without the common budget
	}
	defer func() { _ = stores.Close() }() // nothing is lost with it
	known := map[string][]string{}
	if history, err := wiring.OpenHistory(ctx, cfg, a.logger()); err == nil {
		defer func() { _ = history.Close() }() // nothing is lost with it
		if services, err := history.Services(ctx); err == nil {
			known = services
		}
	}
	accounts, err := budget.List(ctx, stores.Redis)
	if err != nil {
		return []clickhouse.Finding{{Name: "sources", Level: clickhouse.LevelWarning, Detail: err.Error()}}
	}
	sources := &wiring.Sources{
		Config: cfg, Version: manifest.CurrentBuild().Version, Redis: stores.Redis, Member: "doctor", Concurrency: 1, Logger: a.logger(), Now: a.now,
	}
	var findings []clickhouse.Finding
	for _, name := range register.Names() {
		sheet, _ := register.Find(name)
		if len(known[name]) == 0 && !a.addressIsSet(cfg, name) {
			continue
		}
		f := clickhouse.Finding{Name: "source " + name, Level: clickhouse.LevelOK}
		switch {
		case !budget.PausedUntil(accounts, name).IsZero():
			continue // it is said already, and must not be asked
		case sheet.ProbeCosts && (!askAll || cfg.Sources[name].KeyMissing()):
			f.Detail = "not asked, because a question costs credits: doctor --ask-sources"
		default:
			f = a.askSource(ctx, sources, name)
		}
		findings = append(findings, f)
	}
	return findings
}

// addressIsSet reports whether the environment says where the source is.
func (a *app) addressIsSet(cfg config.Config, name string) bool {
	for _, place := range cfg.Services(name) {
		if a.getenv(place.Variable) != "" {
			return true
		}
	}
	return false
}

// askSource asks one question. What comes back is said in the words of a wait.
func (a *app) askSource(ctx context.Context, sources *wiring.Sources, name string) clickhouse.Finding {
	ctx, cancel := context.WithTimeout(ctx, backfill.SilentAfter)
	defer cancel()
	asked := a.now()
	err := sources.Probe(ctx, name)
	f := clickhouse.Finding{Name: "source " + name, Level: clickhouse.LevelOK, Detail: fmt.Sprintf("answers, within %s", a.now().Sub(asked).Round(time.Millisecond))}
	if err == nil {
		return f
	}
	w := backfill.Wait{On: name, Reason: backfill.WaitSourceDown, Since: asked, Detail: backfill.WaitDetail(err)}
	if errors.Is(err, context.DeadlineExceeded) {
		w.Reason, w.Detail = backfill.WaitNoAnswer, ""
	}
	f.Level, f.Detail, f.Hint = clickhouse.LevelError, w.String(), waitHint(w)
	if class := backfill.ClassOf(err); class == backfill.ClassKeyRejected || class == backfill.ClassParked || class == backfill.ClassRateLimited {
		f.Detail, f.Hint = err.Error(), "correct the key, or wait for its quota" // it answers, and says no
	}
	return f
}

// webhookWithin bounds the question whether the webhook's host is there.
const webhookWithin = 5 * time.Second

// examineWebhook asks whether the webhook's host answers, and sends it nothing.
func (a *app) examineWebhook(ctx context.Context, cfg config.Config) []clickhouse.Finding {
	f := clickhouse.Finding{Name: "webhook", Level: clickhouse.LevelOK, Detail: "none is set: alerts go nowhere (QUANTBOT_ALERT_WEBHOOK_URL)"}
	webhook, ok, err := wiring.NewWebhook(cfg, manifest.CurrentBuild().Version, a.now)
	if ok {
		defer webhook.Close()
		ctx, cancel := context.WithTimeout(ctx, webhookWithin)
		defer cancel()
		err = webhook.Reach(ctx)
		f.Detail = "its host answers; whether it takes messages says: " + programName() + " alert-test"
	}
	if err != nil {
		f.Level, f.Detail, f.Hint = clickhouse.LevelWarning, err.Error(), "correct QUANTBOT_ALERT_WEBHOOK_URL, then try it with: "+programName()+" alert-test"
	}
	return []clickhouse.Finding{f}
}

// examineDirectory says how much room the local engines have.
func examineDirectory(dir string) clickhouse.Finding {
	f := clickhouse.Finding{Name: "local directory", Level: clickhouse.LevelOK}
	if _, err := os.Stat(dir); err != nil {
		f.Level, f.Detail = clickhouse.LevelWarning, err.Error()
		return f
	}
	free, whole, err := local.Space(dir)
	if err != nil {
		f.Level, f.Detail = clickhouse.LevelWarning, err.Error()
		return f
	}
	return clickhouse.DiskFinding("local directory", dir, free, whole)
}
