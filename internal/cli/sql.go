package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"golang.org/x/term"

	"quantbot/internal/clickhouse"
	"quantbot/internal/config"
	"quantbot/internal/export"
)

// sqlOptions are the flags of sql.
type sqlOptions struct {
	outputFlags
	write bool
	limit int

	target     export.Target
	statements []string // nil = they are to be asked for
}

// maxStatements is the most of statements that are read from standard input, in bytes.
const maxStatements = 64 << 20

func newSQLCommand(a *app) *cobra.Command {
	return newCommand(a, new(sqlOptions), a.runSQL, &cobra.Command{
		Use:   "sql [STATEMENT]",
		Short: "Run SQL on ClickHouse, which only reads unless --write is given",
		Long: `Run a statement on the ClickHouse that is configured, or on the local one (--local), in quantbot's database, and print its result.
Without a statement it reads some from standard input, each ended by a semicolon at the end of a line; on a terminal it asks for them
(Ctrl-D ends).

A statement may only read, unless --write is given. Tables are printed up to --limit rows; the other formats are streamed whole. A
statement may take 15 minutes. The tables are described in docs/data_model.md.`,
		Example: `  quantbot sql "SELECT run_id, status, candles_inserted FROM ohlcv_ingestion_runs ORDER BY started_at DESC LIMIT 5"
  quantbot --local sql "SELECT * FROM ohlcv_candles LIMIT 10" --format json
  quantbot sql "SELECT * FROM ohlcv_candles WHERE timestamp >= '2025-01-01'" --out candles.parquet
  quantbot sql < report.sql`,
		Args: cobra.MaximumNArgs(1),
	})
}

func (o *sqlOptions) register(flags *pflag.FlagSet) {
	o.outputFlags.register(flags)
	flags.BoolVar(&o.write, "write", false, "let the statement change something")
	flags.IntVar(&o.limit, "limit", 1_000, "print at most so many rows of a table")
}

func (o *sqlOptions) check(a *app, _ *cobra.Command, args []string) (err error) {
	if err := checkLimit(o.limit, maxPrinted); err != nil {
		return err
	}
	if o.target, err = a.parseOutput(o.outputFlags); err != nil {
		return err
	}
	if o.statements, err = a.statements(args); err != nil {
		return err
	}
	if o.target.Path != export.Standard && len(o.statements) != 1 {
		return errors.New("--out FILE takes the result of one statement")
	}
	return nil
}

func (a *app) runSQL(ctx context.Context, o *sqlOptions) error {
	return a.withUntouchedHistory(ctx, func(_ config.Config, history *clickhouse.DB) error {
		if o.statements == nil {
			return a.sqlPrompt(ctx, history, o)
		}
		for _, statement := range o.statements {
			if err := a.sql(ctx, history, statement, o); err != nil {
				return err
			}
		}
		return nil
	})
}

// statements are what is to be run; nil means that they are to be asked for.
func (a *app) statements(args []string) ([]string, error) {
	if len(args) > 0 {
		return args, nil
	}
	if file, ok := a.stdin.(*os.File); ok && term.IsTerminal(int(file.Fd())) {
		return nil, nil
	}
	script, err := io.ReadAll(io.LimitReader(a.stdin, maxStatements+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("read standard input: %w", err)
	case len(script) > maxStatements:
		return nil, fmt.Errorf("standard input has more than %d bytes of statements", maxStatements)
	}
	if found := splitStatements(string(script)); len(found) > 0 {
		return found, nil
	}
	return nil, errors.New("there is no statement: name one, or write it to standard input")
}

// splitStatements cuts where a line ends with a semicolon, so that one in the middle of a text stays.
func splitStatements(script string) (found []string) {
	var lines []string
	end := func() {
		statement := strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(strings.Join(lines, "\n")), ";"))
		comment := !slices.ContainsFunc(strings.Split(statement, "\n"), func(line string) bool {
			line = strings.TrimSpace(line)
			return line != "" && !strings.HasPrefix(line, "--")
		})
		if lines = nil; !comment {
			found = append(found, statement)
		}
	}
	for line := range strings.Lines(script) {
		lines = append(lines, strings.TrimRight(line, "\r\n"))
		if strings.HasSuffix(strings.TrimSpace(line), ";") {
			end()
		}
	}
	end()
	return found
}

// sql runs one statement and writes its result.
func (a *app) sql(ctx context.Context, history *clickhouse.DB, statement string, o *sqlOptions) error {
	result := &sqlResult{limit: o.limit}
	var out *export.File
	if o.target.Format != "" {
		if err := a.mayOverwrite(ctx, o.target.Path, o.yes); err != nil {
			return err
		}
		file, err := export.Create(o.target, a.dataOut())
		if err != nil {
			return err
		}
		out = file
		defer out.Abort() // nothing is left of what fails
		result.open = func(columns []export.Column) export.Rows[[]any] {
			return export.NewResult(out, o.target.Format, columns)
		}
	} else {
		result.open = func(columns []export.Column) export.Rows[[]any] { return a.newResultTable(columns) }
	}
	err := history.SQL(ctx, statement, o.write, clickhouse.ResultReader{Columns: result.columns, Row: result.row})
	if errors.Is(err, errEnough) {
		fmt.Fprintf(a.stderr, "only the first %s shown: there are more, see --limit and --format\n", counted(o.limit, "row"))
		err = nil
	}
	if errors.Is(err, clickhouse.ErrWouldWrite) {
		return &exitError{exitRefused, fmt.Errorf("%w: give --write if that is meant", err)}
	}
	if err == nil && result.rows != nil {
		err = result.rows.Close()
	}
	if err != nil {
		return err
	}
	if result.rows == nil {
		fmt.Fprintln(a.stderr, "Done; the statement has no result.")
	}
	if out == nil {
		return nil
	}
	if _, err = out.Commit(); err == nil && o.target.Path != export.Standard {
		fmt.Fprintf(a.stderr, "%s: %s\n", o.target.Path, counted(result.written, "row"))
	}
	return err
}
