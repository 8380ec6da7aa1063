package cli

import (
	"context"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// options are the flags of a command as they were typed, and what check understood of them and of the arguments.
type options interface {
	// register declares the flags.
	register(flags *pflag.FlagSet)
	// check refuses wrong usage. Nothing has been opened yet: it asks no store, but for the time (see app.goByStores).
	check(a *app, cmd *cobra.Command, args []string) error
}

// newCommand completes a command: its flags, and what happens when it is called. What check refuses is wrong usage, with exit
// code 2 and a hint at --help; what run returns is a failure, unless it carries another exit code.
func newCommand[O options](a *app, o O, run func(context.Context, O) error, cmd *cobra.Command) *cobra.Command {
	o.register(cmd.Flags())
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := o.check(a, cmd, args); err != nil {
			return err
		}
		a.begin()
		return run(cmd.Context(), o)
	}
	return cmd
}

// groupCommand returns a command that only holds others. It runs, because cobra prints the help and exits with 0 where a command
// below one that does not run is misspelt.
func groupCommand(use, short, example string) *cobra.Command {
	return &cobra.Command{
		Use: use, Short: short, Example: "  " + example, Args: cobra.NoArgs, DisableFlagsInUseLine: true,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
}

// formatFlag is --format of the commands that print a table or JSON.
type formatFlag struct{ format string }

// registerFormat declares the flag; more is what its help says beyond the two formats.
func (f *formatFlag) registerFormat(flags *pflag.FlagSet, more string) {
	flags.StringVar(&f.format, "format", "table", "table or json"+more)
}

func (f *formatFlag) checkFormat() error { return checkFormat(f.format) }
