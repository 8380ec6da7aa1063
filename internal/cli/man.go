package cli

import (
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"

	"quantbot/internal/manifest"
)

func (a *app) manCommand() *cobra.Command {
	var dir string
	cmd := &cobra.Command{
		Use:   "man [COMMAND]...",
		Short: "Write the manual page of a command, or all of them",
		Long:  "Write the manual page of a command (of quantbot itself without one) to standard output, or with --dir the pages of all commands to files.",
		Example: `  quantbot man ohlcv query | man -l -
  quantbot man --dir /usr/local/share/man/man1`,
		RunE: func(cmd *cobra.Command, args []string) error {
			root := cmd.Root()
			header := &doc.GenManHeader{
				Title: strings.ToUpper(root.Name()), Section: "1", Source: root.Name() + " " + manifest.CurrentBuild().Version, Manual: "quantbot",
			}
			if dir == "" {
				page, rest, err := root.Find(args)
				if err != nil || len(rest) > 0 {
					return fmt.Errorf("there is no command %q", strings.Join(args, " "))
				}
				header.Title = strings.ToUpper(strings.ReplaceAll(page.CommandPath(), " ", "-"))
				return doc.GenMan(page, header, a.stdout)
			}
			if len(args) > 0 {
				return fmt.Errorf("--dir writes the pages of all commands: leave %q out", strings.Join(args, " "))
			}
			a.begin()
			if err := os.MkdirAll(dir, 0o755); err != nil {
				return fmt.Errorf("write --dir: %w", err)
			}
			if err := doc.GenManTree(root, header, dir); err != nil {
				return fmt.Errorf("write --dir: %w", err)
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&dir, "dir", "", "write the pages of all commands into this `DIRECTORY`")
	return cmd
}
