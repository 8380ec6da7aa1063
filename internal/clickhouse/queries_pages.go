package clickhouse

import _ "embed"

// The statements of the pages Coverage, Token and Quality.
var (
	//go:embed queries/run_summaries.sql
	runSummariesSQL string
	//go:embed queries/quality_by_day.sql
	qualityByDaySQL string
	//go:embed queries/asked_tokens_page.sql
	askedTokensPageSQL string
	//go:embed queries/coverage_scopes.sql
	coverageScopesSQL string
	//go:embed queries/token_scopes.sql
	tokenScopesSQL string
	//go:embed queries/token_asked_scopes.sql
	tokenAskedScopesSQL string
	//go:embed queries/chart.sql
	chartSQL string
	//go:embed queries/chart_versions.sql
	chartVersionsSQL string
	//go:embed queries/versions.sql
	versionsSQL string
	//go:embed queries/rejections.sql
	rejectionsSQL string
	//go:embed queries/token_chunks.sql
	tokenChunksSQL string
)
