package cli

import (
	"context"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"
	"github.com/spf13/pflag"

	"quantbot/internal/manifest"
)

// manOptions are the flags of man.
type manOptions struct {
	dir string

	root, page *cobra.Command // page is the command that was named
}

func newManCommand(a *app) *cobra.Command {
	return newCommand(a, new(manOptions), a.runMan, &cobra.Command{
		Use:   "man [COMMAND]...",
		Short: "Write the manual page of a command, or all of them",
		Long:  "Write the manual page of a command (of quantbot itself without one) to standard output, or with --dir the pages of all commands to files.",
		Example: `  quantbot man ohlcv query | man -l -
  quantbot man --dir /usr/local/share/man/man1`,
	})
}

func (o *manOptions) register(flags *pflag.FlagSet) {
	flags.StringVar(&o.dir, "dir", "", "write the pages of all commands into this `DIRECTORY`")
}

func (o *manOptions) check(_ *app, cmd *cobra.Command, args []string) error {
	o.root = cmd.Root()
	if o.dir != "" && len(args) > 0 {
		return fmt.Errorf("--dir writes the pages of all commands: leave %q out", strings.Join(args, " "))
	}
	page, rest, err := o.root.Find(args)
	if err != nil || len(rest) > 0 {
		return fmt.Errorf("there is no command %q", strings.Join(args, " "))
	}
	o.page = page
	return nil
}

func (a *app) runMan(_ context.Context, o *manOptions) error {
	header := &doc.GenManHeader{
		Title: strings.ToUpper(o.root.Name()), Section: "1", Source: o.root.Name() + " " + manifest.CurrentBuild().Version, Manual: "quantbot",
	}
	if o.dir == "" {
		header.Title = strings.ToUpper(strings.ReplaceAll(o.page.CommandPath(), " ", "-"))
		return doc.GenMan(o.page, header, a.stdout)
	}
	if err := os.MkdirAll(o.dir, 0o755); err != nil {
		return fmt.Errorf("write --dir: %w", err)
	}
	if err := doc.GenManTree(o.root, header, o.dir); err != nil {
		return fmt.Errorf("write --dir: %w", err)
	}
	return nil
}
