// Package cli is the command line of the enqueuer: its commands, what they print, and what they exit with.
//
// # To add a command
//
// Write one file that is named like the command, such as runs_diff.go for runs-diff. It has
//
//   - an options struct, with the flags as they were typed and what they mean: register declares the flags, check refuses wrong
//     usage and takes the arguments over;
//   - newRunsDiffCommand(a *app), which gives newCommand the options, the method below, and cobra's description;
//   - (*app).runRunsDiff(ctx, options), which does the work between the stores that it opens with withHistory, withStores, withRun,
//     withUntouchedHistory or withRedis, and its own print functions.
//
// Then name newRunsDiffCommand in newOHLCVCommand, or in rootCommand. Help, manual page and completion follow; a flag that another
// command has, too, keeps that one's name and values (flagValues), and RUN-ID in Use has the shell offer runs: those of forRuns, if the
// command is only for some.
//
// newCommand keeps the order: check runs first, and what it returns is wrong usage (exit code 2). Then the command has begun
// (app.begin), and what fails is a failure (exit code 1, or that of an exitError). So nothing is opened before all of the usage is
// understood, and nothing has to be called by hand: a command with --format embeds formatFlag, one that writes files embeds
// outputFlags, one that chooses candles embeds selectionFlags. Relative times are read by the stores' clock: selectionFlags.read and
// parseSince see to that.
//
// # What the commands share
//
//   - app.go: the program around the commands; command.go: how a command is made; exit.go: exit codes.
//   - stores.go, resolve.go, clock.go: configuration, engines of --local, stores, the run that was named, and the time.
//   - flags.go, selection.go, coverage_question.go: what flags mean.
//   - output.go, table.go, terminal.go, print_run.go: text, tables and JSON for people and programs; target.go: files.
//   - wait.go, progress.go, live.go: a run while it runs; go_on.go: setting one going again; operate.go: acting on one; confirm.go: asking.
//   - missing.go: what is known of candles that are not there.
//   - completion.go, suggest.go: help while typing.
package cli
