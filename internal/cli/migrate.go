package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"quantbot/internal/backfill"
	"quantbot/internal/clickhouse"
	"quantbot/internal/config"
	"quantbot/internal/source/register"
)

// migrateOptions are the flags of migrate.
type migrateOptions struct {
	formatFlag
	status, newDeployment, dryRun, yes bool
	moved                              []string
}

func newMigrateCommand(a *app) *cobra.Command {
	baseURL := register.Default().Places[0].Variable
	return newCommand(a, new(migrateOptions), a.runMigrate, &cobra.Command{
		Use:   "migrate",
		Short: "Create or update the tables in ClickHouse",
		Long: `Create or update the tables in ClickHouse. The other commands and the workers do it at their start too; doing it twice, or
at once, is harmless.

A new database gets the id of a deployment: the database and one Redis that belong together. Redis carries the same id, and
no program works with two that do not. A copy of a database carries its id along: --new-deployment gives the copy an id of
its own, and ends the runs that were under way when it was copied. Point REDIS_URL at an empty Redis for it.

A database also keeps at which service each source was asked first, and runs that would ask another one are refused: candles
of two services, least of all simulated and real ones, never share a database. --service-moved says that the service which
is configured now (for example by ` + baseURL + `) is the same one at another address, such as a proxy.`,
		Example: `  quantbot migrate
  quantbot migrate --status
  CLICKHOUSE_DATABASE=staging quantbot migrate --new-deployment
  ` + baseURL + `=https://gateway.example/` + register.DefaultName + ` quantbot migrate --service-moved ` + register.DefaultName,
		Args: cobra.NoArgs,
	})
}

func (o *migrateOptions) register(flags *pflag.FlagSet) {
	flags.BoolVar(&o.status, "status", false, "only show which migrations are applied")
	flags.BoolVar(&o.newDeployment, "new-deployment", false, "give a copied database an id of its own")
	flags.StringArrayVar(&o.moved, "service-moved", nil, "the configured service of this `SOURCE` is the one that was used, at another address; may be repeated")
	o.registerFormat(flags, " (which migrations are applied, and when)")
	flags.BoolVar(&o.dryRun, "dry-run", false, "with the two: only say what it would do")
	flags.BoolVar(&o.yes, "yes", false, "with the two: do not ask")
}

func (o *migrateOptions) check(*app, *cobra.Command, []string) error {
	switch {
	case o.status && (o.newDeployment || len(o.moved) > 0):
		return errors.New("--status only looks: leave --new-deployment and --service-moved out")
	case o.newDeployment && len(o.moved) > 0:
		return errors.New("--new-deployment and --service-moved: one at a time")
	case (o.dryRun || o.yes) && !o.newDeployment && len(o.moved) == 0:
		return errors.New("--dry-run and --yes go with --new-deployment or --service-moved")
	case o.format == "json" && (o.newDeployment || len(o.moved) > 0):
		return errors.New("--format json is for the tables: leave --new-deployment and --service-moved out")
	}
	if err := o.checkFormat(); err != nil {
		return err
	}
	for _, source := range o.moved {
		if !slices.Contains(register.Names(), source) {
			return fmt.Errorf("--service-moved %q is none of %s", source, strings.Join(register.Names(), ", "))
		}
	}
	return nil
}

func (a *app) runMigrate(ctx context.Context, o *migrateOptions) error {
	return a.withUntouchedHistory(ctx, func(cfg config.Config, history *clickhouse.DB) error {
		if o.status {
			return a.printMigrations(ctx, history, o.format)
		}
		if err := a.migrate(ctx, history, o.format); err != nil {
			return err
		}
		switch {
		case o.newDeployment:
			return a.newDeployment(ctx, history, o.dryRun, o.yes)
		case len(o.moved) > 0:
			return a.moveServices(ctx, cfg, history, o.moved, o.dryRun, o.yes)
		}
		return nil
	})
}

func (a *app) migrate(ctx context.Context, history *clickhouse.DB, format string) error {
	applied, err := history.Migrate(ctx)
	if format == "json" && err == nil {
		return a.printMigrations(ctx, history, format)
	}
	for _, name := range applied {
		fmt.Fprintln(a.stdout, "applied", name)
	}
	if err == nil && len(applied) == 0 {
		fmt.Fprintln(a.stdout, "Nothing to do: the tables are up to date.")
	}
	return err
}

func (a *app) printMigrations(ctx context.Context, history *clickhouse.DB, format string) error {
	migrations, err := history.MigrationStatus(ctx)
	if err != nil {
		return err
	}
	if format == "json" {
		return a.printJSON(migrations)
	}
	for _, m := range migrations {
		state := "missing"
		if m.Applied {
			state = "applied " + formatTime(m.AppliedAt)
		}
		fmt.Fprintf(a.stdout, "%-40s %s\n", m.Name, state)
	}
	return nil
}

// newDeployment gives the database another id and ends all runs that are under way in it, of whichever deployment: nobody goes
// on with them under the new id. What is interrupted between the two is done by calling it again. Redis is left alone: it may
// be that of the deployment which the database was copied from.
func (a *app) newDeployment(ctx context.Context, history *clickhouse.DB, dryRun, yes bool) error {
	former, err := history.DeploymentBinding(ctx)
	if err != nil {
		return err
	}
	runs, err := history.Unfinished(ctx)
	if err != nil {
		return err
	}
	fmt.Fprintf(a.stderr, "database %s carries deployment %s and gets another id; unfinished runs, which are ended here: %d.\n",
		history.Database(), former.DeploymentID, len(runs))
	fmt.Fprintf(a.stderr, "Do this to a copy only: the workers and the Redis of deployment %s refuse this database from then on.\n", former.DeploymentID)
	if dryRun {
		return nil
	}
	if err := a.confirm(ctx, yes, "Give it an id of its own?"); err != nil {
		return err
	}
	id, err := history.NewDeployment(ctx, operatorName())
	if err != nil {
		return err
	}
	for _, run := range runs {
		if err := backfill.EndCopied(ctx, history, run, a.now()); err != nil {
			return err
		}
	}
	fmt.Fprintln(a.stdout, "deployment", id)
	return nil
}

// moveServices writes down that sources are asked at another address of the same service.
func (a *app) moveServices(ctx context.Context, cfg config.Config, history *clickhouse.DB, sources []string, dryRun, yes bool) error {
	known, err := history.Services(ctx)
	if err != nil {
		return err
	}
	var moves []config.Service
	for _, source := range sources {
		for _, place := range cfg.Services(source) {
			services := known[place.Source]
			if len(services) == 0 || slices.Contains(services, place.Name()) {
				continue // it is bound when it is used, or is there already
			}
			if config.OtherKind(services[0], place.Name()) {
				return &exitError{exitRefused, fmt.Errorf("%s was asked at %s, and %s is another service: simulated and real candles never share a database. Use another one (CLICKHOUSE_DATABASE, or --local=DIR), or correct %s",
					place.Source, services[0], place.Name(), place.Variable)}
			}
			moves = append(moves, place)
			fmt.Fprintf(a.stderr, "%s was asked at %s; from now on %s counts as the same service\n", place.Source, strings.Join(services, ", "), place.Name())
		}
	}
	if len(moves) == 0 {
		fmt.Fprintln(a.stdout, "No service moved.")
		return nil
	}
	if dryRun {
		return nil
	}
	if err := a.confirm(ctx, yes, "Is it?"); err != nil {
		return err
	}
	for _, place := range moves {
		if err := history.AddService(ctx, place.Source, place.Name(), operatorName(), true); err != nil {
			return err
		}
	}
	return nil
}
