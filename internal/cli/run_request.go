package cli

import (
	"maps"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"quantbot/internal/backfill"
	"quantbot/internal/candle"
	"quantbot/internal/manifest"
	"quantbot/internal/source/register"
)

// runRequest is a run that a command asks for.
type runRequest struct {
	backfill.PlanRequest
	// rng is what was asked for; the run's row has it where nothing is left to fetch.
	rng candle.Range
	// manifest has what the request does not say: flags, typed hash, priority, outliers, labels, and the limits while running.
	manifest manifest.Manifest
}

// launchOptions say how runs are started; they hold for all that one command starts.
type launchOptions struct {
	// caps hold for the plans of all runs together.
	caps         backfill.Caps
	format       string
	dryRun, wait bool
}

// run makes the run of a plan, with its manifest.
func (a *app) newRun(r runRequest, plan backfill.Plan) (backfill.Run, error) {
	hash, err := manifest.InputHash(r.Request)
	if err != nil {
		return backfill.Run{}, err
	}
	m := r.manifest
	m.EnvInfo, m.InputHash = register.Environment(a.getenv), hash
	m.Source, m.Fallbacks, m.Interval, m.Range = r.Source, r.Fallbacks, r.Interval, plan.Range
	m.Validation, m.DedupMode, m.SourceTier, m.NoPublishedFiles = r.Validation, r.DedupMode, r.SourceTier, r.NoPublishedFiles
	if len(plan.Chunks) == 0 {
		m.Range = r.rng
	}
	if m, err = manifest.New(m, manifest.CurrentBuild(), a.now()); err != nil {
		return backfill.Run{}, err
	}
	return backfill.Run{Manifest: m, Attempt: 1, PlannedChunks: len(plan.Chunks)}, nil
}

// effectiveFlags records every flag with the value that counted, which for these is another than the typed one.
func effectiveFlags(cmd *cobra.Command, resolved map[string]any) map[string]any {
	args := map[string]any{"command": cmd.CommandPath()}
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		switch value := f.Value.(type) {
		case pflag.SliceValue:
			if list := value.GetSlice(); len(list) > 0 {
				args[f.Name] = list
			}
		default:
			if text := f.Value.String(); text != "" && f.Name != "help" {
				args[f.Name] = text
			}
		}
	})
	maps.Copy(args, resolved)
	return args
}

// resolvedRange is the range and the interval of a run among its effective flags.
func resolvedRange(r candle.Range, interval candle.Interval, window string) map[string]any {
	return map[string]any{
		"from": candle.FormatTime(r.From), "to": candle.FormatTime(r.To), "window": window, "interval": interval.String(),
	}
}

// typedRequest is a request with its times as typed.
type typedRequest struct {
	From string `json:"from"`
	To   string `json:"to"`
	backfill.Request
}

// typedHash is the hash of the request as it was typed, empty where that says no more than the input hash: no time is relative.
// The ranges of tokens follow from the times; the windows around calls are what the worklist says.
func typedHash(from, to string, windows bool, request backfill.Request) (string, error) {
	if !isRelative(from) && !isRelative(to) {
		return "", nil
	}
	typed := typedRequest{From: from, To: to, Request: request}
	if !windows {
		typed.Wanted = make([]candle.TokenRanges, len(request.Wanted))
		for i, w := range request.Wanted {
			typed.Wanted[i].Token = w.Token
		}
	}
	return manifest.InputHash(typed)
}

// defaultHaltRate is the default of --halt-rejection-rate.
const defaultHaltRate = 0.5
