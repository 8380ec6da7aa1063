package cli

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"quantbot/internal/alert"
	"quantbot/internal/manifest"
	"quantbot/internal/wiring"
)

func (a *app) alertTestCommand() *cobra.Command {
	var format string
	cmd := &cobra.Command{
		Use:   "alert-test",
		Short: "Send a test alert to the webhook and show what came back",
		Long: `Send a test alert to QUANTBOT_ALERT_WEBHOOK_URL, the way workers send those about failed, halted, faulty and stuck runs and
exhausted quotas, and show what came back. The URL itself is never shown. With QUANTBOT_ALERT_WEBHOOK_SECRET it is signed;
docs/operations.md shows how to verify that. The exit code is 1 when the receiver did not take it.`,
		Example: "  QUANTBOT_ALERT_WEBHOOK_URL=https://hooks.slack.com/services/... quantbot alert-test",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := checkFormat(format); err != nil {
				return err
			}
			return a.alertTest(cmd.Context(), format)
		},
	}
	cmd.Flags().StringVar(&format, "format", "table", "table or json")
	return cmd
}

// alertTested is what alert-test shows.
type alertTested struct {
	EventID   string        `json:"event_id"`
	Delivered bool          `json:"delivered"`
	Signed    bool          `json:"signed"`
	Receipt   alert.Receipt `json:"receipt"`
	Error     string        `json:"error,omitempty"`
}

func (a *app) alertTest(ctx context.Context, format string) error {
	cfg, release, err := a.configure(ctx)
	if err != nil {
		return err
	}
	defer release()
	webhook, ok, err := wiring.NewWebhook(cfg, manifest.CurrentBuild().Version, a.now)
	switch {
	case err != nil:
		return err
	case !ok:
		return usageError("QUANTBOT_ALERT_WEBHOOK_URL is not set: set it to the URL that alerts are to be posted to")
	}
	defer webhook.Close()
	a.begin()
	event := alert.Test(a.now())
	receipt, err := webhook.Deliver(ctx, event)
	tested := alertTested{EventID: event.ID.String(), Delivered: err == nil, Signed: cfg.Alerts.WebhookSecret != "", Receipt: receipt}
	if err != nil {
		tested.Error = err.Error()
		err = fmt.Errorf("the test alert was not taken: %w", err)
	}
	if format == "json" {
		return errors.Join(a.printJSON(tested), err)
	}
	if err != nil {
		return err
	}
	signed := "not signed (QUANTBOT_ALERT_WEBHOOK_SECRET is not set)"
	if tested.Signed {
		signed = "signed"
	}
	fmt.Fprintf(a.stdout, "Delivered: HTTP %d after %s, %s.\n", receipt.Status, receipt.Took.Round(time.Microsecond), signed)
	a.printFields([]field{{"event id", tested.EventID}, {"answer", receipt.Answer}})
	return nil
}
