package export

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
)

// Format is how rows are written.
type Format string

// The formats.
const (
	Parquet Format = "parquet"
	CSV     Format = "csv"
	JSON    Format = "json"  // one array of objects
	JSONL   Format = "jsonl" // an object a line
)

// Compression is around a format.
type Compression string

// The compressions. Parquet is compressed inside.
const (
	Plain Compression = ""
	Gzip  Compression = "gzip"
	Zstd  Compression = "zstd"
)

// Formats are the names of the formats.
func Formats() []string { return []string{string(Parquet), string(CSV), string(JSON), string(JSONL)} }

// Endings says in words which names of files are understood.
const Endings = ".parquet, .csv, .json or .jsonl, all but the first also with .gz or .zst behind it"

// Standard is the path that stands for standard output.
const Standard = "-"

// Target is where rows go and how they are written.
type Target struct {
	// Path is of a file, or Standard.
	Path        string
	Format      Format
	Compression Compression
}

// ParseTarget understands the path by its ending, and the format that was asked for, which is empty where none was. Its errors are
// the user's, and say what to write instead.
func ParseTarget(path, format string) (t Target, err error) {
	t = Target{Path: path, Format: Format(format)}
	if format != "" && !slices.Contains(Formats(), format) {
		return t, fmt.Errorf("the format %q is none of %s", format, strings.Join(Formats(), ", "))
	}
	if path == Standard {
		if t.Format == "" {
			t.Format = CSV
		}
		return t, nil
	}
	name := strings.ToLower(filepath.Base(path))
	for ending, compression := range map[string]Compression{".gz": Gzip, ".zst": Zstd} {
		if bare, found := strings.CutSuffix(name, ending); found {
			name, t.Compression = bare, compression
		}
	}
	byName := map[string]Format{".parquet": Parquet, ".csv": CSV, ".json": JSON, ".jsonl": JSONL, ".ndjson": JSONL}[filepath.Ext(name)]
	switch {
	case t.Format == "" && byName == "":
		return t, fmt.Errorf("the name %s does not say what to write: end it with %s, or name the format", filepath.Base(path), Endings)
	case t.Format == "":
		t.Format = byName
	case byName != "" && byName != t.Format:
		return t, fmt.Errorf("the name %s says %s, and the format asked for is %s: change one of them", filepath.Base(path), byName, t.Format)
	}
	if t.Format == Parquet && t.Compression != Plain {
		return t, fmt.Errorf("the name %s says %s around Parquet, which is compressed inside: leave the last ending out", filepath.Base(path), t.Compression)
	}
	return t, nil
}
