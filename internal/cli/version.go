package cli

import (
	"fmt"

	"github.com/spf13/cobra"

	"quantbot/internal/manifest"
)

func (a *app) versionCommand() *cobra.Command {
	var format string
	cmd := &cobra.Command{
		Use:     "version",
		Short:   "Show which code this program was built from",
		Example: "  quantbot version --format json",
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			if err := checkFormat(format); err != nil {
				return err
			}
			build := manifest.CurrentBuild()
			if format == "json" {
				return a.printJSON(build)
			}
			fmt.Fprintf(a.stdout, "%s %s\n", programName(), build.Version)
			a.printFields([]field{
				{"commit", build.GitCommitHash}, {"branch", build.GitBranch}, {"state", dirtiness(build.GitDirty)}, {"go", build.GoVersion},
			})
			return nil
		},
	}
	cmd.Flags().StringVar(&format, "format", "table", "table or json")
	return cmd
}
