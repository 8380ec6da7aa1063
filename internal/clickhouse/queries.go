package clickhouse

import _ "embed"

// The statements. Values are bound as server-side parameters, {name:Type}; nothing is ever concatenated.
var (
	//go:embed queries/insert_candles.sql
	insertCandlesSQL string
	//go:embed queries/insert_rejected.sql
	insertRejectedSQL string
	//go:embed queries/insert_planned.sql
	insertPlannedSQL string
	//go:embed queries/insert_outcomes.sql
	insertOutcomesSQL string
	//go:embed queries/insert_lifecycle.sql
	insertLifecycleSQL string

	//go:embed queries/successes_before.sql
	successesBeforeSQL string
	//go:embed queries/unsuccessful.sql
	unsuccessfulSQL string
	//go:embed queries/chunk_count.sql
	chunkCountSQL string
	//go:embed queries/rollback_preview.sql
	rollbackPreviewSQL string
	//go:embed queries/versions_of_run.sql
	versionsOfRunSQL string
	//go:embed queries/removed_for.sql
	removedForSQL string
	//go:embed queries/last_visibility.sql
	lastVisibilitySQL string
	//go:embed queries/insert_visibility.sql
	insertVisibilitySQL string
	//go:embed queries/sweep_slices.sql
	sweepSlicesSQL string
	//go:embed queries/find_redundant.sql
	findRedundantSQL string
	//go:embed queries/count_redundant.sql
	countRedundantSQL string
	//go:embed queries/hidden_beneficiaries.sql
	hiddenBeneficiariesSQL string
	//go:embed queries/delete_redundant.sql
	deleteRedundantSQL string
	//go:embed queries/insert_maintenance.sql
	insertMaintenanceSQL string
	//go:embed queries/purgeable_runs.sql
	purgeableRunsSQL string
	//go:embed queries/versions_by_month.sql
	versionsByMonthSQL string
	//go:embed queries/delete_run_month.sql
	deleteRunMonthSQL string
	//go:embed queries/visible_others.sql
	visibleOthersSQL string
	//go:embed queries/hidden_runs.sql
	hiddenRunsSQL string
	//go:embed queries/shadowed.sql
	shadowedSQL string
	//go:embed queries/success.sql
	successSQL string
	//go:embed queries/planned_count.sql
	plannedCountSQL string
	//go:embed queries/attempt_chunks.sql
	attemptChunksSQL string
	//go:embed queries/tasks.sql
	tasksSQL string
	//go:embed queries/failed_chunks.sql
	failedChunksSQL string
	//go:embed queries/rejected_by_rule.sql
	rejectedByRuleSQL string

	//go:embed queries/unfinished.sql
	unfinishedSQL string
	//go:embed queries/run.sql
	runSQL string
	//go:embed queries/runs.sql
	runsSQL string
	//go:embed queries/resolve_run.sql
	resolveRunSQL string

	//go:embed queries/candles.sql
	candlesSQL string

	//go:embed queries/database_exists.sql
	databaseExistsSQL string
	//go:embed queries/create_database.sql
	createDatabaseSQL string
	//go:embed queries/table_exists.sql
	tableExistsSQL string
	//go:embed queries/check_server.sql
	checkServerSQL string
	//go:embed queries/check_rights.sql
	checkRightsSQL string
)
