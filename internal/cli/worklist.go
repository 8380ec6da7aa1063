package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/term"

	"quantbot/internal/candle"
	"quantbot/internal/worklist"
)

// worklistOptions say where a worklist is read from, as it was typed.
type worklistOptions struct {
	duckdb, callsQuery, side string
	tokensFile               string
	tokens                   []string
	evmChain                 string
}

// given counts the worklists that were named.
func (o *worklistOptions) given() (n int) {
	for _, given := range []bool{o.duckdb != "", o.tokensFile != "", len(o.tokens) > 0} {
		if given {
			n++
		}
	}
	return n
}

// check refuses what does not go together.
func (o *worklistOptions) check() error {
	switch {
	case o.given() > 1:
		return errors.New("name one worklist only: --duckdb, --tokens or --token")
	case o.callsQuery != "" && o.duckdb == "":
		return errors.New("--calls-query needs --duckdb FILE")
	}
	return nil
}

// checkSide refuses a --side that is none, or that could choose nothing.
func (o *worklistOptions) checkSide() error {
	switch {
	case o.side != worklist.SideBuy && o.side != worklist.SideSell && o.side != "":
		return fmt.Errorf("--side %q is none of buy, sell and nothing, which is all", o.side)
	case o.side != worklist.SideBuy && (o.duckdb == "" || o.callsQuery != ""):
		return errors.New("--side chooses calls of the tables that --duckdb FILE has; with --calls-query put it into the SQL")
	}
	return nil
}

// evm is the chain that the name evm stands for; empty where none was given.
func (o *worklistOptions) evm() (chain candle.Chain, err error) {
	if o.evmChain == "" {
		return "", nil
	}
	if chain, err = candle.ParseChain(o.evmChain); err != nil {
		return "", fmt.Errorf("--evm-chain: %w", err)
	}
	return chain, nil
}

// readWorklist reads what the options name: the calls inside the range, or tokens; chain is that of tokens that name none.
func (a *app) readWorklist(ctx context.Context, o worklistOptions, r candle.Range, chain candle.Chain) (worklist.List, error) {
	list, err := a.readRows(ctx, o, r, chain)
	if errors.Is(err, worklist.ErrInput) {
		err = &exitError{exitUsage, err}
	}
	return list, err
}

func (a *app) readRows(ctx context.Context, o worklistOptions, r candle.Range, chain candle.Chain) (list worklist.List, err error) {
	switch {
	case o.duckdb != "":
		return a.readCalls(ctx, o, r)
	case o.tokensFile != "":
		return a.readTokens(ctx, o.tokensFile, chain)
	}
	list.Origin = "--token"
	for _, text := range o.tokens {
		token, err := worklist.ParseToken(text, chain)
		if err != nil {
			return worklist.List{}, err
		}
		list.Tokens = append(list.Tokens, token)
	}
	return list, nil
}

func (a *app) readCalls(ctx context.Context, o worklistOptions, r candle.Range) (list worklist.List, err error) {
	evm, err := o.evm()
	if err != nil {
		return list, err
	}
	list, err = worklist.ReadCalls(ctx, worklist.CallsOptions{Path: o.duckdb, Query: o.callsQuery, Range: r, Side: o.side, EVMChain: evm})
	if err == nil && list.Others != "" {
		fmt.Fprintf(a.stderr, "the calls are those of %s; %s has others, which --calls-query reads: %s\n", list.Origin, o.duckdb, list.Others)
	}
	return list, err
}

func (a *app) readTokens(ctx context.Context, path string, chain candle.Chain) (list worklist.List, err error) {
	if path != "-" {
		list, err = worklist.ReadTokenFile(ctx, path, chain)
	} else {
		if file, ok := a.stdin.(*os.File); ok && term.IsTerminal(int(file.Fd())) {
			fmt.Fprintln(a.stderr, "reading tokens from the terminal: one a line, Ctrl-D ends")
		}
		list, err = worklist.ReadTokens(ctx, a.stdin, "standard input", chain)
	}
	if errors.Is(err, worklist.ErrInput) {
		err = fmt.Errorf("cannot read --tokens: %w", err)
	}
	return list, err
}

// reportSkipped names the rows that cannot be used. Where the worklist must be whole it refuses them.
func (a *app) reportSkipped(list worklist.List, strict bool) error {
	if list.SkippedTotal == 0 {
		return nil
	}
	writeSkipped(a.stderr, list)
	if strict {
		return &exitError{exitRefused, fmt.Errorf("%s: %s cannot be used, and --strict-worklist is set", list.Origin, counted(list.SkippedTotal, "row"))}
	}
	return nil
}

// shownSkipped is how many skipped rows are listed; the count says how many more.
const shownSkipped = 20

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
