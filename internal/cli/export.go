package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"quantbot/internal/candle"
	"quantbot/internal/clickhouse"
	"quantbot/internal/clickhouse/report"
	"quantbot/internal/config"
	"quantbot/internal/coverage"
	"quantbot/internal/export"
	"quantbot/internal/manifest"
	"quantbot/internal/publicjson"
)

// exportManifest says what an exported file holds and where it comes from.
type exportManifest struct {
	File   string        `json:"file"`
	Format export.Format `json:"format"`
	// Compression is around the format: gzip or zstd.
	Compression export.Compression `json:"compression,omitempty"`
	Rows        int64              `json:"rows"`
	// Incomplete counts the rows that lack candles; only of resampled candles. Unknown counts the rows that are not there and not
	// confirmed to be empty, by verdict only of those that are not resampled.
	Incomplete       *int64                     `json:"incomplete,omitempty"`
	Unknown          *int64                     `json:"unknown,omitempty"`
	UnknownByVerdict map[coverage.Verdict]int64 `json:"unknown_by_verdict,omitempty"`
	SHA256           string                     `json:"sha256"`
	Query            map[string]any             `json:"query"`
	RunIDs           []string                   `json:"run_ids"`
	ExportedAt       time.Time                  `json:"exported_at"`
	Version          string                     `json:"version"`

	runs map[uuid.UUID]string
}

// from notes that candles come from the run, and returns its id as text.
func (m *exportManifest) from(runID uuid.UUID) string {
	run, known := m.runs[runID]
	if !known {
		run = runID.String()
		m.runs[runID] = run
		m.RunIDs = append(m.RunIDs, run)
	}
	return run
}

// exportOptions are the flags of export.
type exportOptions struct {
	selectionFlags
	format, out, summary string
	yes                  bool

	// What the flags mean.
	selection report.Selection
	length    candle.Interval // of the buckets to resample to, or 0
	target    export.Target
}

func newExportCommand(a *app) *cobra.Command {
	return newCommand(a, new(exportOptions), a.runExport, &cobra.Command{
		Use:   "export",
		Short: "Write served candles to a Parquet, CSV or JSON file, with a manifest beside it",
		Long: `Write served candles to a Parquet, CSV or JSON file, and FILE.manifest.json beside it: rows, SHA-256, what was asked for,
the runs that the candles come from, and how many candles are not there and not confirmed to be empty (unknown, by verdict; see
coverage), which is said at the end, too. Without --token it is all tokens. Rows are streamed; the file appears when it is whole, with
the mode that your umask leaves. To standard output (--out -) goes the data alone, as CSV unless --format says otherwise.` + resampleHelp,
		Example: "  quantbot ohlcv export --from 2025-01-01 --to 2025-02-01 --out january.parquet\n  quantbot ohlcv export --from 2025-01-01 --to 2025-02-01 --interval 5m --as-of 2025-03-01 --out january.csv.gz\n" +
			"  quantbot ohlcv export --from 2025-01-01 --to 2025-02-01 --resample 1h --out - | gzip > january-1h.csv.gz",
		Args: cobra.NoArgs,
	})
}

func (o *exportOptions) register(flags *pflag.FlagSet) {
	o.selectionFlags.register(flags)
	flags.StringVar(&o.out, "out", "", "`FILE` to write (required), whose name ends with "+export.Endings+"; - is standard output")
	flags.StringVar(&o.format, "format", "", strings.Join(export.Formats(), ", ")+" (default by the file's name)")
	flags.StringVar(&o.summary, "summary", "table", "what is said at the end, on standard output or stderr where that has the data: table (one line) or json (the manifest)")
	flags.BoolVar(&o.yes, "yes", false, "overwrite a file without asking")
}

func (o *exportOptions) check(a *app, cmd *cobra.Command, _ []string) (err error) {
	if o.selection, o.length, err = o.read(cmd.Context(), a); err != nil {
		return err
	}
	if o.out == "" {
		return errors.New("--out FILE is required")
	}
	if o.target, err = a.parseTarget(o.out, o.format); err != nil {
		return err
	}
	if err := checkFormat(o.summary); err != nil {
		return fmt.Errorf("--summary: %w", err)
	}
	return nil
}

func (a *app) runExport(ctx context.Context, o *exportOptions) error {
	return a.withHistory(ctx, func(cfg config.Config, history *clickhouse.DB) (err error) {
		if o.selection.AsOf, err = o.moment(ctx, history, a.now()); err != nil {
			return err
		}
		if err := a.mayOverwrite(ctx, o.target.Path, o.yes); err != nil {
			return err
		}
		known, err := a.known(ctx, cfg, history, o.selection)
		if err != nil {
			return err
		}
		m, err := a.export(ctx, history, known, o.length, o.target)
		if err != nil {
			return momentRefused(err)
		}
		return a.printExport(m, o.target, o.summary)
	})
}

// export writes the file and, beside it, its manifest.
func (a *app) export(ctx context.Context, history *clickhouse.DB, known knownCandles, length candle.Interval, target export.Target) (m exportManifest, err error) {
	m = a.newExportManifest(known.selection, target)
	if length > 0 {
		err = a.writeBuckets(ctx, history, known, length, target, &m)
	} else {
		unknown, byVerdict := known.unknown()
		m.Unknown, m.UnknownByVerdict = &unknown, byVerdict
		err = a.writeCandles(ctx, history, known, target, &m)
	}
	slices.Sort(m.RunIDs)
	if err != nil {
		return m, fmt.Errorf("export: %w", err)
	}
	if length == 0 || m.Rows == 0 {
		a.sayLack(known, m.Rows, false)
	}
	if target.Path == export.Standard {
		return m, nil
	}
	encoded, err := publicjson.MarshalIndent(m)
	if err != nil {
		return m, err
	}
	if err := os.WriteFile(target.Path+".manifest.json", append(encoded, '\n'), 0o666); err != nil { // the umask decides
		return m, fmt.Errorf("write the manifest of --out: %w", err)
	}
	return m, nil
}

// printExport says what was written; beside data on standard output on stderr.
func (a *app) printExport(m exportManifest, target export.Target, summary string) error {
	out := a.stdout
	if target.Path == export.Standard {
		out = a.stderr
	}
	if summary == "json" {
		return encodeJSON(out, m)
	}
	fmt.Fprintf(out, "%s: %s of %s, sha256 %s\n", target.Path, counted(m.Rows, "candle"), counted(len(m.RunIDs), "run"), m.SHA256)
	return nil
}

func (a *app) newExportManifest(s report.Selection, target export.Target) exportManifest {
	m := exportManifest{
		File: filepath.Base(target.Path), Format: target.Format, Compression: target.Compression, ExportedAt: a.now().UTC(), Version: manifest.CurrentBuild().Version, runs: make(map[uuid.UUID]string),
	}
	m.Query = map[string]any{
		"interval": s.Interval, "from": time.Unix(s.Range.From, 0).UTC(), "to": time.Unix(s.Range.To, 0).UTC(), "tokens": s.Tokens,
	}
	if !s.AsOf.IsZero() {
		m.Query["as_of"] = s.AsOf.UTC()
	}
	return m
}

func (a *app) writeCandles(ctx context.Context, history *clickhouse.DB, known knownCandles, target export.Target, m *exportManifest) (err error) {
	m.SHA256, err = writeRows(a, target, candleColumns, func(write func(exportedCandle) error) error {
		return report.New(history).Served(ctx, known.selection, func(c *report.ServedCandle) error {
			m.Rows++
			return write(exportedCandle{newExportedValues(c.Token, c.Interval, c.Candle, c.Quality, c.Source), m.from(c.RunID)})
		})
	})
	return err
}
