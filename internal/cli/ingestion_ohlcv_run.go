package cli

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"quantbot/internal/backfill"
	"quantbot/internal/candle"
	"quantbot/internal/manifest"
	"quantbot/internal/source/register"
	"quantbot/internal/wiring"
	"quantbot/internal/worklist"
)

// runIngestionOHLCV reads the worklist, plans, launches and, when asked to, waits.
func (a *app) runIngestionOHLCV(ctx context.Context, o *ingestOptions) error {
	a.goByStores(ctx, o.from, o.to)
	ins, err := a.parseIngests(*o) // relative times by the stores' clock
	if err != nil {
		return &exitError{exitUsage, err}
	}
	runs := make([]runRequest, len(ins))
	for i := range ins {
		if runs[i], err = a.runRequest(ins[i]); err != nil {
			return &exitError{exitUsage, err}
		}
	}
	list, err := a.readWorklist(ctx, o.list, ins[0].rng, ins[0].chain) // it may be a pipe
	if err != nil {
		return err
	}
	for i, in := range ins {
		if err := a.want(&runs[i], in, list, i == 0); err != nil {
			return err
		}
		if err := in.record(o.cmd, &runs[i]); err != nil {
			return err
		}
	}
	launch := launchOptions{caps: backfill.Caps{Calls: o.maxCalls, Credits: o.maxCredits}, format: o.format, dryRun: o.dryRun, wait: o.wait}
	if o.dryRun {
		return a.dryRun(ctx, launch, runs)
	}
	return a.launch(ctx, launch, runs...)
}

// openSources checks the names of the source and its fallbacks, and gives the request their rules. It needs no key and no server:
// nothing is asked.
func (a *app) openSources(r *runRequest) error {
	cfg, err := register.LoadConfig(a.getenv)
	if err != nil {
		return err
	}
	sources := wiring.Sources{Config: cfg, Version: manifest.CurrentBuild().Version, Concurrency: 1, Logger: a.logger(), Now: a.now}
	for _, name := range r.Fallbacks {
		if _, err := sources.Source(name, &r.manifest); err != nil {
			return fmt.Errorf("--fallback: %w", err)
		}
	}
	filters := func(name string) bool { return slices.Contains(register.OutlierSources(), name) }
	if r.manifest.Outliers == manifest.OutliersFilter && !slices.ContainsFunc(r.Sources(), filters) {
		return fmt.Errorf("--outliers filter: %s cannot be asked for that (%s can)", r.Source, strings.Join(register.OutlierSources(), ", "))
	}
	r.SettleDelay = register.SettleDelay(r.Sources())
	r.Rules, err = sources.Source(r.Source, &r.manifest)
	return err
}

// want fills the request from the worklist. What of that cannot be used is said for the first interval; for others only what their
// source does not have beyond it.
func (a *app) want(r *runRequest, in ingestion, list worklist.List, first bool) error {
	unusable := list.SkippedTotal
	list.Skipped = slices.Clone(list.Skipped)
	for _, w := range in.ranges(list) {
		if err := r.Rules.Supports(w.Token.Chain, r.Interval); err != nil {
			list.Skip(worklist.Skipped{Where: "token", Chain: string(w.Token.Chain), Address: w.Token.Address, Reason: err.Error()})
			continue
		}
		r.Wanted = append(r.Wanted, w)
	}
	r.Normalize()
	if first || list.SkippedTotal > unusable {
		if err := a.reportSkipped(list, in.options.strictWorklist); err != nil {
			return err
		}
	}
	if len(r.Wanted) == 0 {
		return nothingToFetch(list, in.rng)
	}
	return nil
}

// ranges are what the worklist wants of each token.
func (in *ingestion) ranges(list worklist.List) []candle.TokenRanges {
	if !in.calls {
		return worklist.WholeRange(list.Tokens, in.rng)
	}
	pre, post := time.Duration(in.options.preWindow)*time.Minute, time.Duration(in.options.postWindow)*time.Minute
	return worklist.CallWindows(list.Calls, pre, post)
}

// nothingToFetch says why a worklist came to nothing.
func nothingToFetch(list worklist.List, r candle.Range) error {
	if list.SkippedTotal > 0 && len(list.Tokens) == 0 {
		return usageError("%s has no row in %s that can be used; of the first, %s", list.Origin, r, list.Skipped[0].Reason)
	}
	return usageError("%s has no tokens to fetch in %s", list.Origin, r)
}

// record notes how the run was asked for.
func (in *ingestion) record(cmd *cobra.Command, r *runRequest) (err error) {
	resolved := resolvedRange(in.rng, in.request.Interval, in.options.window)
	if in.chain != "" {
		resolved["chain"] = string(in.chain)
	}
	if in.options.list.duckdb != "" {
		resolved["duckdb"] = in.options.list.duckdb
	}
	r.manifest.CLIArgs = effectiveFlags(cmd, resolved)
	r.manifest.TypedHash, err = typedHash(in.options.from, in.options.to, in.calls, r.Request)
	return err
}

// requested is how a request says it, see backfill.Request.
func requested(o manifest.Outliers) manifest.Outliers {
	if o == manifest.OutliersKeep {
		return ""
	}
	return o
}
