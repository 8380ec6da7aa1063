package local

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"os"

	"quantbot/internal/local/libchdb"
)

// The environment by which a process tells its re-executed self what to be.
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
		err = runLibrary(os.Getenv(libraryVariable), os.Getenv(argumentsVariable))
	default:
		err = fmt.Errorf("unknown %s %q", roleVariable, os.Getenv(roleVariable))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

func runLibrary(path, arguments string) error {
	var args []string
	if err := json.Unmarshal([]byte(arguments), &args); err != nil {
		return fmt.Errorf("read the engine's arguments: %w", err)
	}
	lib, err := libchdb.Open(path)
	if err != nil {
		return err
	}
	return lib.Run(args)
}
