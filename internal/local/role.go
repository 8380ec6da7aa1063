package local

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"runtime"

	"quantbot/internal/local/libchdb"
)

// The environment that says to a re-executed process what it is.
const (
	roleVariable      = "QUANTBOT_LOCAL_ROLE"
	dirVariable       = "QUANTBOT_LOCAL_DIR"
	libraryVariable   = "QUANTBOT_LOCAL_LIBRARY"
	argumentsVariable = "QUANTBOT_LOCAL_ARGUMENTS"
	roleKeeper        = "keeper"
	roleClickHouse    = "clickhouse"
)

// RunChild plays the role that this process was re-executed for and does not return then. It must come first in main and
// in TestMain: the engines are children of the same program, so no second binary has to be found.
func RunChild() {
	var err error
	switch os.Getenv(roleVariable) {
	case "":
		return
	case roleKeeper:
		logger := slog.New(slog.NewTextHandler(os.Stderr, nil))
		err = keep(os.Getenv(dirVariable), os.Getenv(libraryVariable), logger)
	case roleClickHouse:
		err = runLibrary(os.Getenv(libraryVariable), os.Getenv(dirVariable), os.Getenv(argumentsVariable))
	default:
		err = fmt.Errorf("unknown %s %q", roleVariable, os.Getenv(roleVariable))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// runLibrary confines the engine to its directory. It stays on its thread from there on: the kernel confines a thread and
// those that it starts, and all of the engine's threads come from the one that runs it.
func runLibrary(path, dir, arguments string) error {
	var args []string
	if err := json.Unmarshal([]byte(arguments), &args); err != nil {
		return fmt.Errorf("read the engine's arguments: %w", err)
	}
	runtime.LockOSThread()
	lib, err := libchdb.Open(path)
	if err != nil {
		return err
	}
	if err := confine(dir); err != nil {
		fmt.Fprintln(os.Stderr, "the kernel does not confine ClickHouse to its directory: who knows its password can read the files of its owner with the function file():", err)
	}
	return lib.Run(args)
}
