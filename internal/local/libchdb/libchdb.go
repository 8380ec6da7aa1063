// Package libchdb runs ClickHouse from the shared library libchdb, without cgo: only the one call that quantbot needs,
// clickhouse-local's command line, which can start the servers' listeners.
package libchdb

import (
	"errors"
	"fmt"
	"runtime"
	"unsafe"

	"github.com/ebitengine/purego"
)

// Library is a loaded libchdb.
type Library struct {
	cmdline     func(argc int32, argv **byte) uintptr
	resultError func(result uintptr) uintptr
	destroy     func(result uintptr)
	setSignals  func(enabled int32)
}

// Open loads the library at path.
func Open(path string) (*Library, error) {
	handle, err := purego.Dlopen(path, purego.RTLD_NOW|purego.RTLD_GLOBAL)
	if err != nil {
		return nil, fmt.Errorf("load %s: %w", path, err)
	}
	var lib Library
	for _, symbol := range []struct {
		fn   any
		name string
	}{
		{&lib.cmdline, "chdb_query_cmdline"},
		{&lib.resultError, "chdb_result_error"},
		{&lib.destroy, "chdb_destroy_query_result"},
		{&lib.setSignals, "chdb_set_signal_handlers_enabled"},
	} {
		address, err := purego.Dlsym(handle, symbol.name)
		if err != nil {
			return nil, fmt.Errorf("find %s in %s: %w", symbol.name, path, err)
		}
		purego.RegisterFunc(symbol.fn, address)
	}
	return &lib, nil
}

// Run is clickhouse-local's main: args[0] is the program's name. It blocks until the engine ends.
func (l *Library) Run(args []string) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	l.setSignals(0) // the engine must not replace the Go runtime's signal handlers
	argv := make([]*byte, 0, len(args)+1)
	var pinned runtime.Pinner
	defer pinned.Unpin()
	for _, arg := range args {
		text := append([]byte(arg), 0)
		pinned.Pin(&text[0])
		argv = append(argv, &text[0])
	}
	argv = append(argv, nil)
	pinned.Pin(&argv[0])
	result := l.cmdline(int32(len(args)), &argv[0])
	if result == 0 {
		return errors.New("run the ClickHouse engine: no result")
	}
	defer l.destroy(result)
	if text := l.resultError(result); text != 0 {
		return fmt.Errorf("run the ClickHouse engine: %s", goString(text))
	}
	return nil
}

func goString(address uintptr) string {
	base := *(*unsafe.Pointer)(unsafe.Pointer(&address)) // an address of C memory, which the collector never moves
	n := 0
	for *(*byte)(unsafe.Add(base, n)) != 0 {
		n++
	}
	return string(unsafe.Slice((*byte)(base), n))
}
