package worklist

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"github.com/duckdb/duckdb-go/v2"
)

// callsFile is a DuckDB file that is read through one connection.
type callsFile struct {
	db   *sql.DB
	conn *sql.Conn
}

func (d callsFile) close() error {
	var err error
	if d.conn != nil {
		err = d.conn.Close()
	}
	return errors.Join(err, d.db.Close())
}

// startDuckDB opens a database in memory, to which a file can be attached.
func startDuckDB(ctx context.Context) (d callsFile, err error) {
	connector, err := duckdb.NewConnector("", nil)
	if err != nil {
		return d, fmt.Errorf("start DuckDB: %w", err)
	}
	d.db = sql.OpenDB(connector)
	if d.conn, err = d.db.Conn(ctx); err != nil {
		return d, errors.Join(fmt.Errorf("start DuckDB: %w", err), d.close())
	}
	return d, nil
}

// openDatabase attaches the file to a database in memory. The driver would take the path for a URL: it cuts it at a question
// mark, refuses a stray percent sign, and behind a hash loses the settings, also the one that protects the file from writing.
func openDatabase(ctx context.Context, path string) (d callsFile, err error) {
	full, err := checkFile(path)
	if err != nil {
		return d, err
	}
	if d, err = startDuckDB(ctx); err != nil {
		return d, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, d.close())
		}
	}()
	name := quoted(`"`, databaseName(full))
	for _, statement := range []string{
		"SET temp_directory = " + quoted("'", full+".tmp"), // as DuckDB does for a file
		"ATTACH " + quoted("'", full) + " AS " + name + " (TYPE duckdb, READ_ONLY)",
		"USE " + name,
		// A query of the user's must not read other files or the network.
		"SET enable_external_access = false",
		"SET lock_configuration = true",
	} {
		if _, err := d.conn.ExecContext(ctx, statement); err != nil {
			if ctx.Err() != nil {
				return d, ctx.Err()
			}
			return d, openError(path, err)
		}
	}
	return d, nil
}

// checkFile returns the absolute path of a file that can be read: DuckDB gives a meaning to some beginnings of a relative one.
func checkFile(path string) (string, error) {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "", inputErrorf("there is no file %s", path)
	case err != nil:
		return "", inputErrorf("cannot open %s: %v", path, err)
	case info.IsDir():
		return "", inputErrorf("%s is a directory, not a DuckDB file", path)
	case !info.Mode().IsRegular():
		return "", inputErrorf("%s is a pipe or a device, not a DuckDB file", path) // opening a pipe would wait for its writer
	}
	file, err := os.Open(path)
	if err != nil {
		return "", inputErrorf("cannot read %s: %v", path, errors.Unwrap(err))
	}
	full, err := filepath.Abs(path)
	return full, errors.Join(err, file.Close())
}

// databaseName is the name that DuckDB gives to the database of a file, so that queries may use it.
func databaseName(path string) string {
	name, _, _ := strings.Cut(filepath.Base(path), ".")
	switch strings.ToLower(name) {
	case "", "main", "memory", "system", "temp":
		return name + "_db"
	}
	return name
}

// quoted writes SQL text or, with double quotes, a name.
func quoted(mark, s string) string { return mark + strings.ReplaceAll(s, mark, mark+mark) + mark }

// versionRange is how DuckDB refuses the storage version of a file.
var versionRange = regexp.MustCompile(`version number (\d+), but we can only read versions? (?:between )?(\d+)`)

// openError says in one sentence what is wrong with the file, and what to do. DuckDB gives its reasons as text only.
func openError(path string, err error) error {
	reason := firstLine(err.Error())
	switch {
	case strings.Contains(reason, "lock on file"):
		return inputErrorf("%s is open for writing in another process: close it there, or give a copy of the file", path)
	case strings.Contains(reason, "not a valid DuckDB database"):
		return inputErrorf("%s is no DuckDB file", path)
	case strings.Contains(reason, "replaying WAL"):
		_, why, _ := strings.Cut(reason, `.wal": `)
		return inputErrorf("%s was not closed by the program that wrote it, and the changes in %s.wal cannot be taken in by reading only (%s): "+
			"open it once for writing with that program's DuckDB (duckdb FILE -c CHECKPOINT), or give a copy on which that was done", path, filepath.Base(path), why)
	case strings.Contains(reason, "encrypt"):
		return inputErrorf("%s is encrypted: give a copy that is not", path)
	case strings.Contains(reason, "checksum"):
		return inputErrorf("%s is damaged: restore it from a backup, or export what DuckDB can still read of it (%s)", path, reason)
	}
	if found := versionRange.FindStringSubmatch(reason); found != nil {
		version, _ := strconv.ParseUint(found[1], 10, 64) // digits, by the expression
		oldest, _ := strconv.ParseUint(found[2], 10, 64)
		if version < oldest {
			return inputErrorf("%s was written by a DuckDB before 0.10: EXPORT DATABASE with that one, IMPORT DATABASE with a newer one", path)
		}
		return inputErrorf("%s was written by a newer DuckDB than this program has: write it with an older storage version (ATTACH ... (STORAGE_VERSION 'v1.2.0'), COPY FROM DATABASE)", path)
	}
	return inputErrorf("cannot open %s as a DuckDB file: %s", path, reason)
}

func firstLine(text string) string {
	line, _, _ := strings.Cut(text, "\n")
	return line
}
