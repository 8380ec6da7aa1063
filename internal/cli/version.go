package cli

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"quantbot/internal/manifest"
)

// versionOptions are the flags of version.
type versionOptions struct{ formatFlag }

func newVersionCommand(a *app) *cobra.Command {
	return newCommand(a, new(versionOptions), a.runVersion, &cobra.Command{
		Use:     "version",
		Short:   "Show which code this program was built from",
		Example: "  quantbot version --format json",
		Args:    cobra.NoArgs,
	})
}

func (o *versionOptions) register(flags *pflag.FlagSet) { o.registerFormat(flags, "") }

func (o *versionOptions) check(*app, *cobra.Command, []string) error { return o.checkFormat() }

func (a *app) runVersion(_ context.Context, o *versionOptions) error {
	build := manifest.CurrentBuild()
	if o.format == "json" {
		return a.printJSON(build)
	}
	fmt.Fprintf(a.stdout, "%s %s\n", programName(), build.Version)
	a.printFields([]field{
		{"commit", build.GitCommitHash}, {"branch", build.GitBranch}, {"state", dirtiness(build.GitDirty)}, {"go", build.GoVersion},
	})
	return nil
}
