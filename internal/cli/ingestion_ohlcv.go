package cli

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"quantbot/internal/backfill"
	"quantbot/internal/candle"
	"quantbot/internal/manifest"
	"quantbot/internal/source/register"
	"quantbot/internal/worklist"
)

// ingestOptions are the flags of ingestion ohlcv as they were typed.
type ingestOptions struct {
	from, to       string
	list           worklistOptions
	chain          string
	intervals      []string
	source         string
	fallbacks      []string
	window         string
	preWindow      int
	postWindow     int
	dedupMode      string
	validation     string
	sourceTier     uint8
	haltRate       float64
	maxCalls       int64
	maxCredits     int64
	priority       string
	outliers       string
	labels         []string
	noResume       bool
	noFiles        bool
	dryRun         bool
	force          bool
	strictWorklist bool
	wait           bool
	format         string

	cmd *cobra.Command // whose flags the manifest of the run names
}

// maxWindow is the most minutes before or after a call.
const maxWindow = 10 * 365 * 24 * 60

func newIngestionCommand(a *app) *cobra.Command {
	cmd := groupCommand("ingestion", "Fetch and store market data", "quantbot ingestion ohlcv --help")
	cmd.AddCommand(newIngestionOHLCVCommand(a))
	return cmd
}

func newIngestionOHLCVCommand(a *app) *cobra.Command {
	return newCommand(a, new(ingestOptions), a.runIngestionOHLCV, &cobra.Command{
		Use:   "ohlcv",
		Short: "Backfill candles of the tokens in a worklist",
		Long: `Backfill candles: read the worklist, plan, enqueue one task per chunk, and leave the fetching to the workers.

The worklist is a DuckDB file with calls (--duckdb), a list of tokens (--tokens), or single tokens (--token). A list is one
token a line, or a table with a header, separated by comma, semicolon, tab or |, in UTF-8 or UTF-16. With calls,
the candles around each call are fetched (--pre-window and --post-window minutes), and --from and --to choose the calls by
their time; with --window range, and for lists of tokens, the whole of --from to --to is fetched for each token.

Times are 2024-01-01, 2024-01-01T10:00, RFC 3339, or relative to now (-7d); without a zone they are UTC. The range is
half-open: --to itself is outside. Candles that have not closed yet are left out.

What earlier runs have fetched from the source is not fetched again, unless they were rolled back; --no-resume fetches it all
the same. What a run that is going on has yet to fetch is left to it; --force fetches it, too. While the run of a command lives,
the same command is refused, also when its times are relative. --dry-run says what the run would take: chunks, API calls, credits
and time. Those are upper bounds, exact where no range is longer than one page of the source. More than 5,000,000 chunks are
refused: cut the run by interval, range or tokens.

Several intervals are a run each; --max-calls and --max-credits then hold for the plans of all of them together, and with --format json each run
is a document of its own.`,
		Example: `  quantbot ingestion ohlcv --from 2024-01-01 --to 2024-02-01 --duckdb data/calls.duckdb --wait
  quantbot ingestion ohlcv --from -7d --to now --tokens tokens.txt --interval 5m,1h --label study=wicks
  quantbot ingestion ohlcv --from 2024-01-01 --to 2025-01-01 --tokens tokens.txt --dry-run
  quantbot ingestion ohlcv --from -30d --to now --tokens tokens.txt --fallback geckoterminal --max-credits 500000
  quantbot ingestion ohlcv --from -365d --to now --source binance --token BTCUSDT --interval 1h
  cut -d, -f1 calls.csv | quantbot ingestion ohlcv --from -1d --to now --tokens -
  quantbot --local ingestion ohlcv --from -1d --to now --token So11111111111111111111111111111111111111112`,
		Args: cobra.NoArgs,
	})
}

func (o *ingestOptions) register(f *pflag.FlagSet) {
	f.StringVar(&o.from, "from", "", "begin of the range (required)")
	f.StringVar(&o.to, "to", "", "end of the range, exclusive (required)")
	f.StringVar(&o.list.duckdb, "duckdb", "", "DuckDB `FILE` with calls (default $DUCKDB_PATH)")
	f.StringVar(&o.list.callsQuery, "calls-query", "", "`SQL` over the DuckDB file that gives mint, chain, ts_ms")
	f.StringVar(&o.list.tokensFile, "tokens", "", "`FILE` with one token a line, or CSV with a header ("+worklist.TokenColumns()+", the first of these; chain); - for standard input")
	f.StringArrayVar(&o.list.tokens, "token", nil, "`ADDRESS` or chain:address; may be repeated")
	f.StringVar(&o.chain, "chain", "", chainHelp)
	f.StringVar(&o.list.evmChain, "evm-chain", "", "what the chain name evm in canon.alerts_std stands for")
	f.StringSliceVar(&o.intervals, "interval", []string{"1m"}, intervalHelp()+"; several (1m,1h) make a run each")
	f.StringVar(&o.source, "source", register.DefaultName, "market-data service: "+strings.Join(register.Names(), ", "))
	f.StringArrayVar(&o.fallbacks, "fallback", nil, "`SOURCE` to ask where the source has nothing; may be repeated")
	f.StringVar(&o.window, "window", "", "calls (around each call) or range (default: calls with --duckdb)")
	f.IntVar(&o.preWindow, "pre-window", 260, "`minutes` before each call")
	f.IntVar(&o.postWindow, "post-window", 1440, "`minutes` after each call")
	f.StringVar(&o.list.side, "side", worklist.SideBuy, "which calls of the known tables: buy, sell, or empty for all")
	f.StringVar(&o.dedupMode, "dedup-mode", string(manifest.DedupNone), "none, inline (skip what settled runs serve as well) or post-batch (count it at the end)")
	f.StringVar(&o.validation, "validation", string(candle.Lenient), "lenient or strict (rejects candles without volume)")
	f.Uint8Var(&o.sourceTier, "source-tier", uint8(candle.TierBackfillAPI), "how far the candles are trusted, 0 to 5")
	f.Float64Var(&o.haltRate, "halt-rejection-rate", defaultHaltRate, "halt when more than this share of the candles is rejected, from 1000 candles on; 0 = never")
	f.Int64Var(&o.maxCalls, "max-calls", 0, "refuse a plan that may take more API calls; 0 = any number")
	f.Int64Var(&o.maxCredits, "max-credits", 0, "refuse a plan that may take more credits, and halt the run at so many; 0 = any number")
	f.StringVar(&o.priority, "priority", string(manifest.PriorityNormal), "low, normal or high: whose chunks workers take when several runs wait")
	f.StringVar(&o.outliers, "outliers", string(manifest.OutliersKeep), "keep, or filter: have the source leave unlikely prices out, such as long wicks ("+strings.Join(register.OutlierSources(), ", ")+")")
	f.StringArrayVar(&o.labels, "label", nil, "`NAME=VALUE` to find the run by (runs-list --label); may be repeated")
	f.BoolVar(&o.noResume, "no-resume", false, "also fetch what earlier runs have fetched or are fetching")
	f.BoolVar(&o.noFiles, "no-published-files", false, "ask the API alone, not for files that a source publishes beside it (binance)")
	f.BoolVar(&o.dryRun, "dry-run", false, "say what the run would take, and do nothing")
	f.BoolVar(&o.force, "force", false, "run even if the same input is running, and fetch what other runs are fetching")
	f.BoolVar(&o.strictWorklist, "strict-worklist", false, "refuse a worklist with rows that cannot be used")
	f.BoolVar(&o.wait, "wait", false, "wait for the end, also of runs that something was left to, and show progress (always with --local)")
	f.StringVar(&o.format, "format", "table", "table or json")
}

func (o *ingestOptions) check(a *app, cmd *cobra.Command, _ []string) error {
	if o.cmd = cmd; o.list.given() == 0 {
		o.list.duckdb = a.getenv("DUCKDB_PATH")
	}
	_, err := a.parseIngests(*o)
	return err
}

// ingestion is an ingestOptions that was understood, for one interval.
type ingestion struct {
	options  ingestOptions
	rng      candle.Range
	chain    candle.Chain
	request  backfill.Request // Wanted comes from the worklist
	priority manifest.Priority
	outliers manifest.Outliers
	labels   map[string]string
	calls    bool // windows around calls, else the whole range
}

// parseIngests understands the flags, once for each interval.
func (a *app) parseIngests(o ingestOptions) (ins []ingestion, err error) {
	if len(o.intervals) == 0 {
		return nil, errors.New("--interval is empty: name one, such as 1m")
	}
	for _, interval := range o.intervals {
		in, err := a.parseIngest(o, strings.TrimSpace(interval))
		if err != nil {
			return nil, err
		}
		if slices.ContainsFunc(ins, func(other ingestion) bool { return other.request.Interval == in.request.Interval }) {
			return nil, fmt.Errorf("--interval %s is given twice", in.request.Interval)
		}
		ins = append(ins, in)
	}
	return ins, nil
}

func (a *app) parseIngest(o ingestOptions, interval string) (in ingestion, err error) {
	in.options = o
	if in.rng, err = parseRange(o.from, o.to, a.now()); err != nil {
		return in, err
	}
	if in.chain, err = parseChain(o.chain, o.source); err != nil {
		return in, err
	}
	if _, err = o.list.evm(); err != nil {
		return in, err
	}
	if in.request.Interval, err = candle.ParseInterval(interval); err != nil {
		return in, fmt.Errorf("--interval: %w", err)
	}
	if in.request.Validation, err = candle.ParseValidation(o.validation); err != nil {
		return in, fmt.Errorf("--validation: %w", err)
	}
	if in.request.DedupMode, err = manifest.ParseDedupMode(o.dedupMode); err != nil {
		return in, fmt.Errorf("--dedup-mode: %w", err)
	}
	if in.priority, err = manifest.ParsePriority(o.priority); err != nil {
		return in, fmt.Errorf("--priority: %w", err)
	}
	if in.outliers, err = manifest.ParseOutliers(o.outliers); err != nil {
		return in, fmt.Errorf("--outliers: %w", err)
	}
	if in.labels, err = parseLabels(o.labels); err != nil {
		return in, err
	}
	in.request.Outliers = requested(in.outliers)
	in.request.Source, in.request.Fallbacks, in.request.NoPublishedFiles = o.source, o.fallbacks, o.noFiles
	in.request.SourceTier = candle.SourceTier(o.sourceTier)
	return in, in.check()
}

func (in *ingestion) check() error {
	o := &in.options
	if o.window == "" {
		o.window = "range"
		if o.list.duckdb != "" {
			o.window = "calls"
		}
	}
	in.calls = o.window == "calls"
	if o.list.given() == 0 {
		return errors.New("name a worklist: --duckdb FILE, --tokens FILE or --token ADDRESS")
	}
	if err := o.list.check(); err != nil {
		return err
	}
	switch {
	case o.window != "calls" && o.window != "range":
		return fmt.Errorf("--window %q is neither calls nor range", o.window)
	case in.calls && o.list.duckdb == "":
		return errors.New("--window calls needs calls: --duckdb FILE")
	case o.preWindow < 0 || o.postWindow < 0 || o.preWindow+o.postWindow == 0:
		return errors.New("--pre-window and --post-window must not be negative, nor both 0")
	case o.preWindow > maxWindow || o.postWindow > maxWindow:
		return fmt.Errorf("--pre-window and --post-window must be at most %d minutes, which are ten years", maxWindow)
	case !(o.haltRate >= 0 && o.haltRate <= 1):
		return fmt.Errorf("--halt-rejection-rate must be between 0 and 1, not %g", o.haltRate)
	case o.maxCalls < 0 || o.maxCredits < 0:
		return errors.New("--max-calls and --max-credits must not be negative")
	case slices.Contains(o.fallbacks, o.source):
		return fmt.Errorf("--fallback %s is the source itself", o.source)
	case in.request.SourceTier > candle.MaxTier:
		return fmt.Errorf("--source-tier %d is above %d", o.sourceTier, candle.MaxTier)
	}
	if err := o.list.checkSide(); err != nil {
		return err
	}
	return checkFormat(o.format)
}

// runRequest is the run of an ingestion, without what the worklist wants.
func (a *app) runRequest(in ingestion) (runRequest, error) {
	r := runRequest{
		PlanRequest: backfill.PlanRequest{Request: in.request, NoResume: in.options.noResume, Force: in.options.force},
		rng:         in.rng,
		manifest: manifest.Manifest{
			Priority: in.priority, Outliers: in.outliers, Labels: in.labels, NoPublishedFiles: in.request.NoPublishedFiles,
			HaltRejectionRate: in.options.haltRate, MaxCredits: in.options.maxCredits,
		},
	}
	return r, a.openSources(&r)
}
