package export

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/csv"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
	"github.com/parquet-go/parquet-go"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestTargetsGoByTheirNames(t *testing.T) {
	t.Parallel()
	for path, want := range map[string]Target{
		"x.parquet":       {Format: Parquet},
		"d/x.CSV":         {Format: CSV},
		"x.csv.gz":        {Format: CSV, Compression: Gzip},
		"x.2024.csv.zst":  {Format: CSV, Compression: Zstd},
		"x.json":          {Format: JSON},
		"x.jsonl.gz":      {Format: JSONL, Compression: Gzip},
		"x.ndjson":        {Format: JSONL},
		"-":               {Format: CSV},
		"x.parquet:json":  {},
		"x.txt":           {},
		"x.gz":            {},
		"january":         {},
		"x.parquet.gz":    {},
		"parquet":         {},
		".csv":            {Format: CSV},
		"x.csv/x.parquet": {Format: Parquet},
	} {
		got, err := ParseTarget(path, "")
		if want.Format == "" {
			require.Error(t, err, path)
			continue
		}
		want.Path = path
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
	for path, format := range map[string]string{"x.csv": "parquet", "x": "xlsx", "x.gz": "parquet", "-": "arrow"} {
		_, err := ParseTarget(path, format)
		require.Error(t, err, path)
	}
	got, err := ParseTarget("x.gz", "csv")
	require.NoError(t, err)
	require.Equal(t, Target{Path: "x.gz", Format: CSV, Compression: Gzip}, got)
}

func TestAFileAppearsWhenItIsWhole(t *testing.T) {
	t.Parallel()
	for ending, open := range map[string]func(io.Reader) (io.Reader, error){
		".csv":     func(r io.Reader) (io.Reader, error) { return r, nil },
		".csv.gz":  func(r io.Reader) (io.Reader, error) { return gzip.NewReader(r) },
		".csv.zst": func(r io.Reader) (io.Reader, error) { return zstd.NewReader(r) },
	} {
		dir := t.TempDir()
		path := filepath.Join(dir, "x"+ending)
		require.NoError(t, os.WriteFile(path, []byte("what was there"), 0o600))
		target, err := ParseTarget(path, "")
		require.NoError(t, err)
		f, err := Create(target, nil)
		require.NoError(t, err)
		_, err = f.Write([]byte("a,b\n1,2\n"))
		require.NoError(t, err)
		before, err := os.ReadFile(path)
		require.NoError(t, err)
		require.Equal(t, "what was there", string(before))
		digest, err := f.Commit()
		require.NoError(t, err)
		stored, err := os.ReadFile(path)
		require.NoError(t, err)
		sum := sha256.Sum256(stored)
		require.Equal(t, hex.EncodeToString(sum[:]), digest)
		plain, err := open(bytes.NewReader(stored))
		require.NoError(t, err)
		text, err := io.ReadAll(plain)
		require.NoError(t, err)
		require.Equal(t, "a,b\n1,2\n", string(text))
		reference := filepath.Join(dir, "reference")
		file, err := os.Create(reference) // with the umask's mode
		require.NoError(t, err)
		require.NoError(t, file.Close())
		require.Equal(t, modeOf(t, reference), modeOf(t, path))
	}
}

func modeOf(t *testing.T, path string) os.FileMode {
	t.Helper()
	info, err := os.Stat(path)
	require.NoError(t, err)
	return info.Mode()
}

func TestALinkStaysOne(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	target, link := filepath.Join(dir, "real.csv"), filepath.Join(dir, "link.csv")
	require.NoError(t, os.WriteFile(target, []byte("what was there"), 0o600))
	require.NoError(t, os.Symlink("real.csv", link))
	f, err := Create(Target{Path: link, Format: CSV}, nil)
	require.NoError(t, err)
	_, err = f.Write([]byte("a\n"))
	require.NoError(t, err)
	_, err = f.Commit()
	require.NoError(t, err)
	pointsTo, err := os.Readlink(link)
	require.NoError(t, err)
	require.Equal(t, "real.csv", pointsTo)
	stored, err := os.ReadFile(target)
	require.NoError(t, err)
	require.Equal(t, "a\n", string(stored))
}

func TestAnAbortedFileLeavesNothing(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	f, err := Create(Target{Path: filepath.Join(dir, "x.csv"), Format: CSV}, nil)
	require.NoError(t, err)
	f.Abort()
	f.Abort()
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Empty(t, entries)
	_, err = Create(Target{Path: filepath.Join(dir, "none", "x.csv"), Format: CSV}, nil)
	require.ErrorIs(t, err, os.ErrNotExist)
	require.NotContains(t, err.Error(), ".part")
}

type pair struct {
	Name string  `parquet:"name" json:"name"`
	Size float64 `parquet:"size" json:"size"`
}

func (p pair) Record(record []string) []string { return append(record, p.Name, Float(p.Size)) }

func TestRowsComeBackFromEveryFormat(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		rows := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) pair {
			return pair{rapid.StringMatching(`[a-z",\n]{1,5}`).Draw(t, "name"), rapid.Float64Range(-1e300, 1e300).Draw(t, "size")}
		}), 0, 2_500).Draw(t, "rows")
		for _, format := range Formats() {
			var buffer bytes.Buffer
			w := NewRows[pair](&buffer, Format(format), []string{"name", "size"})
			for _, row := range rows {
				require.NoError(t, w.Write(row))
			}
			require.NoError(t, w.Close())
			require.Equal(t, len(rows), len(readPairs(t, Format(format), buffer.Bytes(), rows)), format)
		}
	})
}

// readPairs reads rows back and compares them.
func readPairs(t require.TestingT, format Format, data []byte, want []pair) (got []pair) {
	switch format {
	case Parquet:
		var err error
		got, err = parquet.Read[pair](bytes.NewReader(data), int64(len(data)))
		require.NoError(t, err)
	case CSV:
		records, err := csv.NewReader(bytes.NewReader(data)).ReadAll()
		require.NoError(t, err)
		require.Equal(t, []string{"name", "size"}, records[0])
		for i, r := range records[1:] {
			require.Equal(t, want[i].Record(nil), r)
			got = append(got, want[i])
		}
	case JSON:
		require.NoError(t, json.Unmarshal(data, &got))
	case JSONL:
		for lines := json.NewDecoder(bytes.NewReader(data)); lines.More(); {
			var p pair
			require.NoError(t, lines.Decode(&p))
			got = append(got, p)
		}
	}
	for i := range want {
		require.Equal(t, want[i], got[i])
	}
	return got
}

func TestResultsKeepTheirColumnsAndTheirKinds(t *testing.T) {
	t.Parallel()
	at := time.Date(2025, 1, 2, 3, 4, 5, 6_000, time.UTC)
	columns := []Column{{"z", Text}, {"count(), x", Unsigned}, {"a", Integer}, {"r", Real}, {"b", Boolean}, {"t", Moment}, {"z", Text}}
	rows := [][]any{
		{"x,\"y\"", uint64(math.MaxUint64), int64(-1), 0.1, true, at, []string{"p", "q"}},
		{nil, nil, nil, math.NaN(), nil, nil, nil},
	}
	written := func(format Format) []byte {
		var buffer bytes.Buffer
		w := NewResult(&buffer, format, columns)
		for _, row := range rows {
			require.NoError(t, w.Write(row))
		}
		require.NoError(t, w.Close())
		return buffer.Bytes()
	}
	require.Equal(t, "z,\"count(), x\",a,r,b,t,z\n\"x,\"\"y\"\"\",18446744073709551615,-1,0.1,true,2025-01-02T03:04:05.000006Z,\"[\"\"p\"\",\"\"q\"\"]\"\n,,,NaN,,,\n", string(written(CSV)))
	require.Equal(t, []string{
		`{"z":"x,\"y\"","count(), x":18446744073709551615,"a":-1,"r":0.1,"b":true,"t":"2025-01-02T03:04:05.000006Z","z":["p","q"]}`,
		`{"z":null,"count(), x":null,"a":null,"r":null,"b":null,"t":null,"z":null}`, "",
	}, strings.Split(string(written(JSONL)), "\n"), "in the order of the columns")
	require.True(t, json.Valid(written(JSON)))

	data := written(Parquet)
	file, err := parquet.OpenFile(bytes.NewReader(data), int64(len(data)))
	require.NoError(t, err)
	var names []string
	for _, field := range file.Schema().Fields() {
		names = append(names, field.Name())
	}
	require.Equal(t, "z|count(), x|a|r|b|t|z_2", strings.Join(names, "|"))
	reader := parquet.NewReader(file)
	defer reader.Close()
	read := make([]parquet.Row, 2)
	n, err := reader.ReadRows(read)
	require.True(t, err == nil || errors.Is(err, io.EOF))
	require.Equal(t, 2, n)
	require.Equal(t, "x,\"y\"", read[0][0].String())
	require.Equal(t, uint64(math.MaxUint64), read[0][1].Uint64())
	require.Equal(t, at.UnixMicro(), read[0][5].Int64())
	require.Equal(t, `["p","q"]`, read[0][6].String())
	for _, column := range []int{0, 1, 2, 4, 5, 6} {
		require.True(t, read[1][column].IsNull(), column)
	}
}

func TestAnEmptyResultIsWhole(t *testing.T) {
	t.Parallel()
	for format, want := range map[Format]string{CSV: "a\n", JSON: "[]\n", JSONL: ""} {
		var buffer bytes.Buffer
		require.NoError(t, NewResult(&buffer, format, []Column{{"a", Integer}}).Close())
		require.Equal(t, want, buffer.String())
	}
	var buffer bytes.Buffer
	require.NoError(t, NewResult(&buffer, Parquet, []Column{{"a", Integer}}).Close())
	rows, err := parquet.Read[struct {
		A *int64 `parquet:"a"`
	}](bytes.NewReader(buffer.Bytes()), int64(buffer.Len()))
	require.NoError(t, err)
	require.Empty(t, rows)
}
