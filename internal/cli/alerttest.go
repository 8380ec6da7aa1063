package cli

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"quantbot/internal/alert"
	"quantbot/internal/manifest"
	"quantbot/internal/wiring"
)

// alertTestOptions are the flags of alert-test.
type alertTestOptions struct {
	formatFlag

	webhook *alert.Webhook // that of the environment
	signed  bool
}

func newAlertTestCommand(a *app) *cobra.Command {
	return newCommand(a, new(alertTestOptions), a.runAlertTest, &cobra.Command{
		Use:   "alert-test",
		Short: "Send a test alert to the webhook and show what came back",
		Long: `Send a test alert to QUANTBOT_ALERT_WEBHOOK_URL, the way workers send those about failed, halted, faulty and stuck runs and
exhausted quotas, and show what came back. The URL itself is never shown. With QUANTBOT_ALERT_WEBHOOK_SECRET it is signed;
docs/operations.md shows how to verify that. The exit code is 1 when the receiver did not take it.`,
		Example: "  QUANTBOT_ALERT_WEBHOOK_URL=https://hooks.slack.com/services/... quantbot alert-test",
		Args:    cobra.NoArgs,
	})
}

func (o *alertTestOptions) register(flags *pflag.FlagSet) { o.registerFormat(flags, "") }

// check also reads the environment, which is this command's other argument.
func (o *alertTestOptions) check(a *app, cmd *cobra.Command, _ []string) error {
	if err := o.checkFormat(); err != nil {
		return err
	}
	cfg, release, err := a.configure(cmd.Context())
	if err != nil {
		return err
	}
	defer release() // no store is asked
	webhook, ok, err := wiring.NewWebhook(cfg, manifest.CurrentBuild().Version, a.now)
	switch {
	case err != nil:
		return err
	case !ok:
		return usageError("QUANTBOT_ALERT_WEBHOOK_URL is not set: set it to the URL that alerts are to be posted to")
	}
	o.webhook, o.signed = webhook, cfg.Alerts.WebhookSecret != ""
	return nil
}

// alertTested is what alert-test shows.
type alertTested struct {
	EventID   string        `json:"event_id"`
	Delivered bool          `json:"delivered"`
	Signed    bool          `json:"signed"`
	Receipt   alert.Receipt `json:"receipt"`
	Error     string        `json:"error,omitempty"`
}

func (a *app) runAlertTest(ctx context.Context, o *alertTestOptions) error {
	defer o.webhook.Close()
	event := alert.Test(a.now())
	receipt, err := o.webhook.Deliver(ctx, event)
	tested := alertTested{EventID: event.ID.String(), Delivered: err == nil, Signed: o.signed, Receipt: receipt}
	if err != nil {
		tested.Error = err.Error()
		err = fmt.Errorf("the test alert was not taken: %w", err)
	}
	if o.format == "json" {
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
