package export

import (
	"bufio"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"path/filepath"

	"github.com/google/uuid"
	"github.com/klauspost/compress/zstd"
)

// File takes the bytes of a target, compresses them and counts their digest. Nothing is at its path before Commit; a file that was
// there stays until then.
type File struct {
	path     string
	file     *os.File // nil of standard output
	buffered *bufio.Writer
	digest   hash.Hash
	encoder  io.WriteCloser // nil where nothing is compressed
}

// fileBuffer is what is written at a time, in bytes.
const fileBuffer = 1 << 20

// Create begins a target. The file has the mode that the process' umask leaves. stdout is what Standard stands for.
func Create(t Target, stdout io.Writer) (*File, error) {
	f := &File{path: t.Path, digest: sha256.New()}
	out := stdout
	if t.Path != Standard {
		if linked, err := filepath.EvalSymlinks(t.Path); err == nil {
			f.path = linked // a link stays one
		}
		temporary := filepath.Join(filepath.Dir(f.path), "."+filepath.Base(f.path)+"."+uuid.NewString()[:8]+".part")
		file, err := os.OpenFile(temporary, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666) // the umask decides
		if err != nil {
			return nil, fmt.Errorf("write %s: %w", t.Path, reason(err))
		}
		f.file, out = file, file
	}
	f.buffered = bufio.NewWriterSize(io.MultiWriter(out, f.digest), fileBuffer)
	switch t.Compression {
	case Gzip:
		f.encoder = gzip.NewWriter(f.buffered)
	case Zstd:
		encoder, err := zstd.NewWriter(f.buffered, zstd.WithEncoderConcurrency(1))
		if err != nil {
			f.Abort()
			return nil, fmt.Errorf("write %s: %w", t.Path, err)
		}
		f.encoder = encoder
	case Plain:
	}
	return f, nil
}

// reason leaves the temporary name out of an error: nobody asked for that.
func reason(err error) error {
	if pathError, ok := errors.AsType[*os.PathError](err); ok {
		return pathError.Err
	}
	return err
}

// Write implements io.Writer.
func (f *File) Write(p []byte) (int, error) {
	if f.encoder != nil {
		return f.encoder.Write(p)
	}
	return f.buffered.Write(p)
}

// Commit writes what is left and gives the file its name. It returns the SHA-256 of the file's bytes, in hex.
func (f *File) Commit() (digest string, err error) {
	if f.encoder != nil {
		err = f.encoder.Close()
	}
	err = errors.Join(err, f.buffered.Flush())
	if f.file != nil {
		if err == nil {
			err = f.file.Sync()
		}
		err = errors.Join(err, f.file.Close())
		if err == nil {
			err = os.Rename(f.file.Name(), f.path)
		}
	}
	if err != nil {
		f.Abort()
		return "", fmt.Errorf("write %s: %w", f.path, reason(err))
	}
	return hex.EncodeToString(f.digest.Sum(nil)), nil
}

// Abort leaves nothing behind; it may be called at any time before Commit has succeeded, and again.
func (f *File) Abort() {
	if f.file != nil {
		_ = f.file.Close()           // it may be closed already
		_ = os.Remove(f.file.Name()) // nothing of it is wanted
	}
}
