// Command enqueuer, also built as quantbot, is the operator's program: it plans runs and enqueues their chunks, shows
// what runs did, and looks after the stores. It is the only program that links DuckDB.
package main

import (
	"context"
	"os"
	"time"

	"quantbot/internal/cli"
	"quantbot/internal/local"
)

func main() {
	local.RunChild()
	outside := cli.Outside{Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr, LookupEnv: os.LookupEnv, Now: time.Now}
	os.Exit(cli.Run(context.Background(), outside, os.Args[1:]))
}
