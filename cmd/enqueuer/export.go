package main

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/csv"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"github.com/google/uuid"
	"github.com/parquet-go/parquet-go"
	"github.com/spf13/cobra"

	"quantbot/internal/clickhouse"
	"quantbot/internal/config"
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
	File       string         `json:"file"`
	Format     string         `json:"format"`
	Rows       int64          `json:"rows"`
	SHA256     string         `json:"sha256"`
	Query      map[string]any `json:"query"`
	RunIDs     []string       `json:"run_ids"`
	ExportedAt time.Time      `json:"exported_at"`
	Version    string         `json:"version"`
}

func (a *app) exportCommand() *cobra.Command {
	var o selectionFlags
	var out, format string
	cmd := &cobra.Command{
		Use:   "export",
		Short: "Write served candles to a Parquet or CSV file, with a manifest beside it",
		Long: `Write served candles to a Parquet or CSV file, and FILE.manifest.json beside it: rows, SHA-256, what was asked for, and
the runs that the candles come from. Without --token it is all tokens. Rows are streamed; the file appears when it is whole.`,
		Example: "  quantbot ohlcv export --from 2025-01-01 --to 2025-02-01 --out january.parquet\n  quantbot ohlcv export --from 2025-01-01 --to 2025-02-01 --interval 5m --as-of 2025-03-01 --out january.csv",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			selection, err := o.parse(a.now())
			if err != nil {
				return err
			}
			if out == "" {
				return errors.New("--out FILE is required")
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
			return a.withHistory(cmd.Context(), func(_ config.Config, history *clickhouse.DB) error {
				if selection.AsOf, err = o.moment(cmd.Context(), history, a.now()); err != nil {
					return err
				}
				return a.export(cmd.Context(), history, selection, out, format)
			})
		},
	}
	o.register(cmd)
	cmd.Flags().StringVar(&out, "out", "", "`FILE` to write (required)")
	cmd.Flags().StringVar(&format, "format", "", "parquet or csv (default by the file's name, else parquet)")
	return cmd
}

// export writes beside the file and renames at the end: a file that is there is whole.
func (a *app) export(ctx context.Context, history *clickhouse.DB, s clickhouse.Selection, out, format string) (err error) {
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
	m, err := a.writeCandles(ctx, history, s, buffered, format)
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
	encoded, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(out+".manifest.json", append(encoded, '\n'), 0o600); err != nil {
		return fmt.Errorf("write the manifest of --out: %w", err)
	}
	fmt.Fprintf(a.stdout, "%s: %d candles of %d runs, sha256 %s\n", out, m.Rows, len(m.RunIDs), m.SHA256)
	return nil
}

// candleWriter is a file format.
type candleWriter interface {
	write(exportedCandle) error
	close() error
}

func (a *app) writeCandles(ctx context.Context, history *clickhouse.DB, s clickhouse.Selection, w io.Writer, format string) (exportManifest, error) {
	m := exportManifest{Format: format, RunIDs: []string{}, ExportedAt: a.now().UTC(), Version: manifest.CurrentBuild().Version}
	m.Query = map[string]any{
		"interval": s.Interval, "from": time.Unix(s.Range.From, 0).UTC(), "to": time.Unix(s.Range.To, 0).UTC(), "tokens": s.Tokens,
	}
	if !s.AsOf.IsZero() {
		m.Query["as_of"] = s.AsOf.UTC()
	}
	out := newCandleWriter(w, format)
	runs := make(map[uuid.UUID]string)
	err := history.Served(ctx, s, func(c *clickhouse.ServedCandle) error {
		run, known := runs[c.RunID]
		if !known {
			run = c.RunID.String()
			runs[c.RunID] = run
			m.RunIDs = append(m.RunIDs, run)
		}
		m.Rows++
		return out.write(exportedCandle{
			string(c.Token.Chain), c.Token.Address, uint32(c.Interval), time.Unix(c.OpenTime, 0).UTC(),
			c.Open, c.High, c.Low, c.Close, c.Volume, c.VolumeUSD, uint32(c.Quality), c.Source, run,
		})
	})
	slices.Sort(m.RunIDs)
	return m, errors.Join(err, out.close())
}

func newCandleWriter(w io.Writer, format string) candleWriter {
	if format == "csv" {
		c := &csvWriter{csv: csv.NewWriter(w)}
		c.record = []string{"chain", "token_address", "interval_seconds", "timestamp", "open", "high", "low", "close", "volume", "volume_usd", "quality_score", "source", "ingestion_run_id"}
		c.err = c.csv.Write(c.record)
		return c
	}
	return &parquetWriter{parquet: parquet.NewGenericWriter[exportedCandle](w, parquet.Compression(&parquet.Zstd), parquet.MaxRowsPerRowGroup(1<<20))}
}

type csvWriter struct {
	csv    *csv.Writer
	record []string
	err    error // of the header
}

func (w *csvWriter) write(c exportedCandle) error {
	number := func(f float64) string { return strconv.FormatFloat(f, 'g', -1, 64) }
	w.record = append(w.record[:0], c.Chain, c.TokenAddress, strconv.FormatUint(uint64(c.IntervalSeconds), 10), c.Timestamp.Format(time.RFC3339),
		number(c.Open), number(c.High), number(c.Low), number(c.Close), number(c.Volume), number(c.VolumeUSD),
		strconv.FormatUint(uint64(c.QualityScore), 10), c.Source, c.RunID)
	return w.csv.Write(w.record)
}

func (w *csvWriter) close() error {
	w.csv.Flush()
	return errors.Join(w.err, w.csv.Error())
}

// parquetBatch rows are handed to the library at a time.
const parquetBatch = 1_000

type parquetWriter struct {
	parquet *parquet.GenericWriter[exportedCandle]
	rows    []exportedCandle
}

func (w *parquetWriter) write(c exportedCandle) error {
	w.rows = append(w.rows, c)
	if len(w.rows) < parquetBatch {
		return nil
	}
	return w.flush()
}

func (w *parquetWriter) flush() error {
	_, err := w.parquet.Write(w.rows)
	w.rows = w.rows[:0]
	return err
}

func (w *parquetWriter) close() error { return errors.Join(w.flush(), w.parquet.Close()) }
