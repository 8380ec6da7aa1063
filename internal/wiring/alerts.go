package wiring

import (
	"context"
	"log/slog"
	"time"

	"quantbot/internal/alert"
	"quantbot/internal/backfill"
	"quantbot/internal/clickhouse"
	"quantbot/internal/clickhouse/report"
	"quantbot/internal/config"
	"quantbot/internal/metrics"
	"quantbot/internal/source/budget"
)

// NewWebhook returns the operator's webhook. ok is false when none is configured.
func NewWebhook(cfg config.Config, version string, now func() time.Time) (webhook *alert.Webhook, ok bool, err error) {
	if cfg.Alerts.WebhookURL == "" {
		return nil, false, nil
	}
	webhook, err = alert.NewWebhook(alert.WebhookConfig{
		URL: cfg.Alerts.WebhookURL.Reveal(), Secret: cfg.Alerts.WebhookSecret.Reveal(), UserAgent: "quantbot/" + version, Now: now,
	})
	return webhook, err == nil, err
}

// sendAlerts delivers alerts until ctx ends, if there is a webhook. Without one, or with one that cannot be used, the worker
// works all the same.
func (s *Stores) sendAlerts(ctx context.Context, cfg WorkerConfig, name string, m *metrics.Metrics, logger *slog.Logger) {
	webhook, ok, err := NewWebhook(cfg.Config, cfg.Build.Version, cfg.Now)
	if err != nil {
		logger.ErrorContext(ctx, "alerts are not delivered", "err", err)
	}
	if !ok {
		return
	}
	defer webhook.Close()
	s.Notifier(webhook, cfg.Config.Alerts.ErrorRate, name, m, logger, cfg.Now).Run(ctx)
}

// Notifier delivers alerts to the receiver; name is this process in the lease and in what it writes.
func (s *Stores) Notifier(receiver alert.Receiver, errorRate float64, name string, m *metrics.Metrics, logger *slog.Logger, now func() time.Time) *alert.Notifier {
	n := &alert.Notifier{
		History: AlertHistory{History: s.History, ErrorRate: errorRate, Name: name}, Receiver: receiver, Parked: s.parked,
		Lease: func(ctx context.Context, ttl time.Duration) (bool, error) {
			return s.Ledger.Lease(ctx, backfill.DutyAlerts, name, ttl)
		},
		Logger: logger, Now: now,
	}
	if m != nil {
		for _, kind := range alert.Kinds() {
			m.ExpectAlerts(string(kind))
		}
		n.Delivered = func(kind alert.Kind, ok bool) { m.Alerted(string(kind), ok) }
	}
	return n
}

// parked lists the accounts whose quota is used up.
func (s *Stores) parked(ctx context.Context) ([]alert.Parking, error) {
	all, err := budget.List(ctx, s.Redis)
	var parked []alert.Parking
	for _, status := range all {
		if !status.ParkedUntil.IsZero() {
			parked = append(parked, alert.Parking{
				Source: status.Source, Account: status.ID, Until: status.ParkedUntil, Whole: !budget.ParkedUntil(all, status.Source).IsZero(),
			})
		}
	}
	return parked, err
}

// AlertHistory is the run history as alerts need it.
type AlertHistory struct {
	History *clickhouse.DB
	// ErrorRate is the share of failed chunks, or of rejected candles, from which on a run is faulty.
	ErrorRate float64
	// Name is who delivers.
	Name string
}

var _ alert.History = AlertHistory{}

// UndeliveredFailures implements alert.History.
func (h AlertHistory) UndeliveredFailures(ctx context.Context, since time.Time) ([]alert.End, error) {
	var kinds []string
	for _, kind := range alert.EndKinds() {
		kinds = append(kinds, string(kind))
	}
	found, err := report.New(h.History).UndeliveredFailures(ctx, since, h.ErrorRate, kinds)
	ends := make([]alert.End, len(found))
	for i, f := range found {
		ends[i] = alert.End{Source: f.Source, At: f.EndedAt, Run: alert.RunFacts{
			ID: f.RunID, Attempt: int(f.Attempt), Status: f.Status, StartedBy: f.StartedBy,
			Planned: f.Planned, Failed: f.Failed, Cancelled: f.Cancelled,
			Fetched: f.Fetched, Inserted: f.Inserted, Rejected: f.Rejected, Deduplicated: f.Deduplicated, Shadowed: f.Shadowed, Skipped: f.Skipped,
			Error: f.ErrorMessage,
		}}
	}
	return ends, err
}

// Running implements alert.History.
func (h AlertHistory) Running(ctx context.Context) ([]alert.StalledRun, error) {
	runs, err := h.History.Unfinished(ctx)
	if err != nil {
		return nil, err
	}
	stalled := make([]alert.StalledRun, 0, len(runs))
	for _, run := range runs {
		sign, found, err := report.New(h.History).LastActivity(ctx, run.ID(), run.Attempt)
		if err != nil {
			return nil, err
		}
		if !found {
			continue
		}
		stalled = append(stalled, alert.StalledRun{
			Source: run.Manifest.Source, Since: sign.At, Silence: sign.Silence, Left: max(sign.Planned-sign.Ended, 0),
			Run: alert.RunFacts{
				ID: run.ID(), Attempt: run.Attempt, Status: "running", StartedBy: run.Manifest.StartedBy, Planned: int64(run.PlannedChunks),
			},
		})
	}
	return stalled, nil
}

// Delivered implements alert.History.
func (h AlertHistory) Delivered(ctx context.Context, e alert.Event) (bool, error) {
	return report.New(h.History).Delivered(ctx, string(e.Kind), e.ID)
}

// RecordDelivered implements alert.History.
func (h AlertHistory) RecordDelivered(ctx context.Context, e alert.Event) error {
	row := clickhouse.Alert{Kind: string(e.Kind), EventID: e.ID, Text: e.Text, DeliveredBy: h.Name}
	if e.Run != nil {
		row.RunID, row.Attempt = e.Run.ID, uint32(e.Run.Attempt)
	}
	return h.History.RecordAlert(ctx, row)
}
