package main

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"quantbot/internal/backfill"
	"quantbot/internal/candle"
	"quantbot/internal/clickhouse"
	"quantbot/internal/config"
	"quantbot/internal/jsonlist"
	"quantbot/internal/manifest"
)

// exportedCandle is a row of an exported file.
type exportedCandle struct {
	Chain           string    `parquet:"chain,dict"`
	TokenAddress    string    `parquet:"token_address,dict"`
	IntervalSeconds uint32    `parquet:"interval_seconds"`
	Timestamp       time.Time `parquet:"timestamp,timestamp(millisecond),delta"`
	Open            float64   `parquet:"open"`
	High            float64   `parquet:"high"`
	Low             float64   `parquet:"low"`
	Close           float64   `parquet:"close"`
	Volume          float64   `parquet:"volume"`
	VolumeUSD       float64   `parquet:"volume_usd"`
	QualityScore    uint32    `parquet:"quality_score"`
	Source          string    `parquet:"source,dict"`
	RunID           string    `parquet:"ingestion_run_id,dict"`
}

// exportManifest says what an exported file holds and where it comes from.
type exportManifest struct {
	File   string `json:"file"`
	Format string `json:"format"`
	Rows   int64  `json:"rows"`
	// Incomplete counts the rows that lack candles; only of resampled candles. Unknown counts the rows that are not there and not
	// confirmed to be empty, by verdict only of those that are not resampled.
	Incomplete       *int64                     `json:"incomplete,omitempty"`
	Unknown          *int64                     `json:"unknown,omitempty"`
	UnknownByVerdict map[backfill.Verdict]int64 `json:"unknown_by_verdict,omitempty"`
	SHA256           string                     `json:"sha256"`
	Query            map[string]any             `json:"query"`
	RunIDs           []string                   `json:"run_ids"`
	ExportedAt       time.Time                  `json:"exported_at"`
	Version          string                     `json:"version"`

	runs map[uuid.UUID]string
}

// from notes that candles come from the run, and answers its id as text.
func (m *exportManifest) from(runID uuid.UUID) string {
	run, known := m.runs[runID]
	if !known {
		run = runID.String()
		m.runs[runID] = run
		m.RunIDs = append(m.RunIDs, run)
	}
	return run
}

func (a *app) exportCommand() *cobra.Command {
	var o selectionFlags
	var out, format string
	cmd := &cobra.Command{
		Use:   "export",
		Short: "Write served candles to a Parquet or CSV file, with a manifest beside it",
		Long: `Write served candles to a Parquet or CSV file, and FILE.manifest.json beside it: rows, SHA-256, what was asked for,
the runs that the candles come from, and how many candles are not there and not confirmed to be empty (unknown, by verdict; see
coverage), which is said at the end, too. Without --token it is all tokens. Rows are streamed; the file appears when it is whole.` + resampleHelp,
		Example: "  quantbot ohlcv export --from 2025-01-01 --to 2025-02-01 --out january.parquet\n  quantbot ohlcv export --from 2025-01-01 --to 2025-02-01 --interval 5m --as-of 2025-03-01 --out january.csv\n" +
			"  quantbot ohlcv export --from 2025-01-01 --to 2025-02-01 --resample 1h --out january-1h.parquet",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if _, _, err := o.parse(a.now()); err != nil {
				return err
			}
			a.goByStores(cmd.Context(), o.from, o.to, o.asOf)
			selection, length, err := o.parse(a.now())
			if err != nil {
				return err
			}
			if out == "" {
				return errors.New("--out FILE is required")
			}
			if out == "-" {
				return errors.New("--out - is not possible: the manifest is written beside a file")
			}
			if info, err := os.Stat(out); err == nil && info.IsDir() {
				return fmt.Errorf("--out %s is a directory: name a file", out)
			}
			if format == "" {
				format = map[string]string{".csv": "csv"}[filepath.Ext(out)]
				if format == "" {
					format = "parquet"
				}
			}
			if format != "csv" && format != "parquet" {
				return fmt.Errorf("--format %q is neither parquet nor csv", format)
			}
			return a.withHistory(cmd.Context(), func(cfg config.Config, history *clickhouse.DB) error {
				if selection.AsOf, err = o.moment(cmd.Context(), history, a.now()); err != nil {
					return err
				}
				known, err := a.known(cmd.Context(), cfg, history, selection)
				if err != nil {
					return err
				}
				return momentRefused(a.export(cmd.Context(), history, known, length, out, format))
			})
		},
	}
	o.register(cmd)
	cmd.Flags().StringVar(&out, "out", "", "`FILE` to write (required)")
	cmd.Flags().StringVar(&format, "format", "", "parquet or csv (default by the file's name, else parquet)")
	return cmd
}

// export writes beside the file and renames at the end: a file that is there is whole.
func (a *app) export(ctx context.Context, history *clickhouse.DB, known knownCandles, length candle.Interval, out, format string) (err error) {
	file, err := os.CreateTemp(filepath.Dir(out), ".export-*")
	if err != nil {
		return fmt.Errorf("write --out: %w", err)
	}
	defer func() {
		if err != nil {
			_ = file.Close()           // it may be closed already
			_ = os.Remove(file.Name()) // nothing of it is wanted
		}
	}()
	digest := sha256.New()
	buffered := bufio.NewWriterSize(io.MultiWriter(file, digest), 1<<20)
	m := a.newExportManifest(known.selection, format)
	if length > 0 {
		err = a.writeBuckets(ctx, history, known.selection, length, buffered, &m)
	} else {
		unknown, byVerdict := known.unknown()
		m.Unknown, m.UnknownByVerdict = &unknown, byVerdict
		err = writeCandles(ctx, history, known.selection, buffered, &m)
	}
	slices.Sort(m.RunIDs)
	if err != nil {
		return fmt.Errorf("export: %w", err)
	}
	if err := errors.Join(buffered.Flush(), file.Close()); err != nil {
		return fmt.Errorf("write --out: %w", err)
	}
	m.File, m.SHA256 = filepath.Base(out), hex.EncodeToString(digest.Sum(nil))
	if err := os.Rename(file.Name(), out); err != nil {
		return fmt.Errorf("write --out: %w", err)
	}
	encoded, err := json.MarshalIndent(jsonlist.Of(m), "", "  ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(out+".manifest.json", append(encoded, '\n'), 0o600); err != nil {
		return fmt.Errorf("write the manifest of --out: %w", err)
	}
	if length == 0 || m.Rows == 0 {
		a.sayLack(known, m.Rows, false)
	}
	fmt.Fprintf(a.stdout, "%s: %s of %s, sha256 %s\n", out, counted(m.Rows, "candle"), counted(len(m.RunIDs), "run"), m.SHA256)
	return nil
}

func (a *app) newExportManifest(s clickhouse.Selection, format string) exportManifest {
	m := exportManifest{
		Format: format, ExportedAt: a.now().UTC(), Version: manifest.CurrentBuild().Version, runs: make(map[uuid.UUID]string),
	}
	m.Query = map[string]any{
		"interval": s.Interval, "from": time.Unix(s.Range.From, 0).UTC(), "to": time.Unix(s.Range.To, 0).UTC(), "tokens": s.Tokens,
	}
	if !s.AsOf.IsZero() {
		m.Query["as_of"] = s.AsOf.UTC()
	}
	return m
}

var candleColumns = []string{
	"chain", "token_address", "interval_seconds", "timestamp", "open", "high", "low", "close", "volume", "volume_usd", "quality_score", "source",
	"ingestion_run_id",
}

func (c exportedCandle) record(record []string) []string {
	return append(record, c.Chain, c.TokenAddress, csvNumber(c.IntervalSeconds), c.Timestamp.Format(time.RFC3339),
		csvFloat(c.Open), csvFloat(c.High), csvFloat(c.Low), csvFloat(c.Close), csvFloat(c.Volume), csvFloat(c.VolumeUSD),
		csvNumber(c.QualityScore), c.Source, c.RunID)
}

func writeCandles(ctx context.Context, history *clickhouse.DB, s clickhouse.Selection, w io.Writer, m *exportManifest) error {
	out := newRowWriter[exportedCandle](w, m.Format, candleColumns)
	err := history.Served(ctx, s, func(c *clickhouse.ServedCandle) error {
		m.Rows++
		return out.write(exportedCandle{
			string(c.Token.Chain), c.Token.Address, uint32(c.Interval), time.Unix(c.OpenTime, 0).UTC(),
			c.Open, c.High, c.Low, c.Close, c.Volume, c.VolumeUSD, uint32(c.Quality), c.Source, m.from(c.RunID),
		})
	})
	return errors.Join(err, out.close())
}
