package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"github.com/spf13/pflag"

	"quantbot/internal/export"
)

// outputFlags say where rows go, and as what: a table on the screen where no flag says otherwise.
type outputFlags struct {
	format, out string
	yes         bool
}

func (o *outputFlags) register(f *pflag.FlagSet) {
	f.StringVar(&o.format, "format", "", "table, "+strings.Join(export.Formats(), ", ")+" (default table; of a file by its name)")
	f.StringVar(&o.out, "out", export.Standard, "write to this `FILE`, whose name may end with "+export.Endings+"; - is standard output")
	f.BoolVar(&o.yes, "yes", false, "overwrite a file without asking")
}

// parseOutput leaves the format of the target empty where a table is wanted.
func (a *app) parseOutput(o outputFlags) (export.Target, error) {
	switch {
	case o.out == export.Standard && (o.format == "" || o.format == "table"):
		return export.Target{Path: export.Standard}, nil
	case o.format == "table":
		return export.Target{}, errors.New("--format table is for the screen: leave --out out")
	}
	return a.parseTarget(o.out, o.format)
}

func (a *app) parseTarget(out, format string) (export.Target, error) {
	info, err := os.Stat(out)
	switch {
	case err == nil && info.IsDir():
		return export.Target{}, fmt.Errorf("--out %s is a directory: name a file", out)
	case err == nil && !info.Mode().IsRegular(): // a file would take the place of a device or a pipe
		return export.Target{}, fmt.Errorf("--out %s is no file: name one, or - for standard output", out)
	}
	target, err := export.ParseTarget(out, format)
	if err != nil {
		return target, fmt.Errorf("--out, --format: %w", err)
	}
	if target.Format == export.Parquet && out == export.Standard && isTerminal(a.data) {
		return target, errors.New("nobody reads Parquet on a terminal: name a file with --out, or send standard output elsewhere")
	}
	return target, nil
}

// dataOut is standard output for formats that programs read: bytes as they are, but on a terminal, where they could do harm.
func (a *app) dataOut() io.Writer {
	if isTerminal(a.data) {
		return a.stdout
	}
	return a.data
}

// writeRows writes what read gives to the target, which appears when it is whole, and returns its SHA-256 in hex.
func writeRows[T export.Row](a *app, target export.Target, columns []string, read func(write func(T) error) error) (digest string, err error) {
	file, err := export.Create(target, a.dataOut())
	if err != nil {
		return "", err
	}
	defer file.Abort() // nothing is left of what fails
	rows := export.NewRows[T](file, target.Format, columns)
	if err := errors.Join(read(rows.Write), rows.Close()); err != nil {
		return "", err
	}
	return file.Commit()
}

// mayOverwrite asks before a file that is there is replaced.
func (a *app) mayOverwrite(ctx context.Context, path string, yes bool) error {
	if path == export.Standard {
		return nil
	}
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return a.confirm(ctx, yes, path+" is there already. Overwrite it?")
}

// errEnough ends a reading that has all it wants.
var errEnough = errors.New("enough")

// shownRows is how many rows a table has without --limit; formats that programs read have all.
const shownRows = 1_000

// maxPrinted is the most rows that a table holds to print them, some 200 MB.
const maxPrinted = 1_000_000
