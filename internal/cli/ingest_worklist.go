package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	"golang.org/x/term"

	"quantbot/internal/backfill"
	"quantbot/internal/worklist"
)

func (a *app) readWorklist(ctx context.Context, in ingestion) (worklist.List, error) {
	o := in.options
	switch {
	case o.duckdb != "":
		list, err := worklist.ReadCalls(ctx, worklist.CallsOptions{Path: o.duckdb, Query: o.callsQuery, Range: in.rng, Side: o.side, EVMChain: in.evmChain})
		if err == nil && list.Others != "" {
			fmt.Fprintf(a.stderr, "the calls are those of %s; %s has others, which --calls-query reads: %s\n", list.Origin, o.duckdb, list.Others)
		}
		return list, err
	case o.tokensFile != "":
		return a.readTokens(ctx, in)
	}
	list := worklist.List{Origin: "--token"}
	for _, text := range o.tokens {
		token, err := worklist.ParseToken(text, in.chain)
		if err != nil {
			return worklist.List{}, err
		}
		list.Tokens = append(list.Tokens, token)
	}
	return list, nil
}

// checkSide refuses a --side that is none, or that could choose nothing.
func checkSide(side, duckdb, callsQuery string) error {
	switch {
	case side != worklist.SideBuy && side != worklist.SideSell && side != "":
		return fmt.Errorf("--side %q is none of buy, sell and nothing, which is all", side)
	case side != worklist.SideBuy && (duckdb == "" || callsQuery != ""):
		return errors.New("--side chooses calls of the tables that --duckdb FILE has; with --calls-query put it into the SQL")
	}
	return nil
}

func (a *app) readTokens(ctx context.Context, in ingestion) (list worklist.List, err error) {
	if path := in.options.tokensFile; path != "-" {
		list, err = worklist.ReadTokenFile(ctx, path, in.chain)
	} else {
		if file, ok := a.stdin.(*os.File); ok && term.IsTerminal(int(file.Fd())) {
			fmt.Fprintln(a.stderr, "reading tokens from the terminal: one a line, Ctrl-D ends")
		}
		list, err = worklist.ReadTokens(ctx, a.stdin, "standard input", in.chain)
	}
	if errors.Is(err, worklist.ErrInput) {
		err = fmt.Errorf("cannot read --tokens: %w", err)
	}
	return list, err
}

// shownSkipped is how many skipped rows are listed; the count tells the rest.
const shownSkipped = 20

func (a *app) reportSkipped(list worklist.List, in ingestion) error {
	if list.SkippedTotal == 0 {
		return nil
	}
	writeSkipped(a.stderr, list)
	if in.options.strictWorklist {
		return &exitError{exitRefused, fmt.Errorf("%s: %s cannot be used, and --strict-worklist is set", list.Origin, counted(list.SkippedTotal, "row"))}
	}
	return nil
}

// nothingToFetch says why a worklist came to nothing.
func nothingToFetch(list worklist.List, in ingestion) error {
	if list.SkippedTotal > 0 && len(list.Tokens) == 0 {
		return usageError("%s has no row in %s that can be used; of the first, %s", list.Origin, in.rng, list.Skipped[0].Reason)
	}
	return usageError("%s has no tokens to fetch in %s", list.Origin, in.rng)
}

func writeSkipped(w io.Writer, list worklist.List) {
	fmt.Fprintf(w, "%s: skipped %s that cannot be used:\n", list.Origin, counted(list.SkippedTotal, "row"))
	for i, s := range list.Skipped {
		if i == shownSkipped {
			fmt.Fprintf(w, "  … and %d more\n", list.SkippedTotal-i)
			break
		}
		fmt.Fprintf(w, "  %s: %s (chain %q, address %q)\n", s.Where, s.Reason, s.Chain, s.Address)
	}
}

// want fills the request from the worklist. What of that cannot be used is said for the first interval; for others only what their
// source does not have beyond it.
func (a *app) want(in ingestion, list worklist.List, source backfill.Source, first bool) (ingestion, error) {
	unusable := list.SkippedTotal
	list.Skipped = slices.Clone(list.Skipped)
	in.want(&list, source)
	if first || list.SkippedTotal > unusable {
		if err := a.reportSkipped(list, in); err != nil {
			return in, err
		}
	}
	if len(in.request.Wanted) == 0 {
		return in, nothingToFetch(list, in)
	}
	return in, nil
}

// want turns the worklist into ranges; tokens that the source does not have are skipped like rows that cannot be used.
func (in *ingestion) want(list *worklist.List, source backfill.Source) {
	wanted := worklist.WholeRange(list.Tokens, in.rng)
	if in.calls {
		pre, post := time.Duration(in.options.preWindow)*time.Minute, time.Duration(in.options.postWindow)*time.Minute
		wanted = worklist.CallWindows(list.Calls, pre, post)
	}
	for _, w := range wanted {
		if err := source.Supports(w.Token.Chain, in.request.Interval); err != nil {
			list.Skip(worklist.Skipped{Where: "token", Chain: string(w.Token.Chain), Address: w.Token.Address, Reason: err.Error()})
			continue
		}
		in.request.Wanted = append(in.request.Wanted, w)
	}
	in.request.Normalize()
}
