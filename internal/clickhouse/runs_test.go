package clickhouse

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"quantbot/internal/backfill"
	"quantbot/internal/candle"
	"quantbot/internal/clickhouse/report"
	"quantbot/internal/manifest"
)

// fullRecord has another value in every field.
func fullRecord() backfill.RunRecord {
	dirty := true
	return backfill.RunRecord{
		Run: backfill.Run{
			Manifest: manifest.Manifest{
				RunID:             uuid.Must(uuid.NewV7()),
				StartedAt:         time.Unix(1_750_000_000, 123e6).UTC(),
				StartedBy:         "ana@laptop",
				ScriptVersion:     "1.2.3",
				GitCommitHash:     "abc1234",
				GitBranch:         "main",
				GitDirty:          &dirty,
				CLIArgs:           map[string]any{"from": "2024-01-01", "wait": true, "limit": 2.5, "token": []any{"a", "b\\\t'"}},
				EnvInfo:           map[string]string{"CLICKHOUSE_HOST": "localhost", "BIRDEYE_API_KEY": "***"},
				InputHash:         strings.Repeat("ab", 32),
				TypedHash:         strings.Repeat("cd", 32),
				Labels:            map[string]string{"study": "wicks", "owner": "ana"},
				Source:            "birdeye",
				Interval:          candle.Interval15m,
				Range:             candle.Range{From: day0, To: day0 + 900},
				Validation:        candle.Strict,
				DedupMode:         manifest.DedupPostBatch,
				SourceTier:        candle.TierValidated,
				HaltRejectionRate: 0.25, MaxCredits: 1_000, Fallbacks: []string{"geckoterminal", "binance"}, Priority: manifest.PriorityLow,
				Outliers: manifest.OutliersFilter, NoPublishedFiles: true, Services: map[string]string{"birdeye": "market.example"},
				DeploymentID: uuid.Must(uuid.NewV7()),
			},
			Attempt: 2, PlannedChunks: 31, RetriedChunks: 7,
		},
		Status:          backfill.StatusFailed,
		CompletedAt:     time.Unix(1_750_000_100, 456e6).UTC(),
		Stats:           backfill.Stats{Fetched: 11, Inserted: 12, Rejected: 13, Deduplicated: 14, Shadowed: 5, Skipped: 9, ZeroVolume: 15, Dropped: 16, APICalls: 17, Credits: 18},
		TokensProcessed: 19, FailedChunks: 20, CancelledChunks: 21,
		ErrorMessage:     "20 × server error 500: it's \\ down\n",
		DedupCompletedAt: time.Unix(1_750_000_099, 789e6).UTC(),
	}
}

func TestRunKeepsEveryField(t *testing.T) {
	t.Parallel()
	db, _ := openMigrated(t)
	full := fullRecord()
	requireEveryFieldSet(t, reflect.ValueOf(full))
	bare := backfill.RunRecord{Run: newRun(0), Status: backfill.StatusCompleted}
	for _, want := range []backfill.RunRecord{full, bare} {
		require.NoError(t, db.Finished(t.Context(), want))
		got, err := db.Run(t.Context(), want.ID())
		require.NoError(t, err)
		require.Empty(t, cmp.Diff(want, got, cmpopts.EquateEmpty()))
	}
}

// requireEveryFieldSet makes a field that is added later fail the test until it is stored as well.
func requireEveryFieldSet(t *testing.T, v reflect.Value) {
	t.Helper()
	for i := range v.NumField() {
		field := v.Field(i)
		require.False(t, field.IsZero(), "%s.%s is not set", v.Type(), v.Type().Field(i).Name)
		if field.Kind() == reflect.Struct && field.Type() != reflect.TypeFor[time.Time]() {
			requireEveryFieldSet(t, field)
		}
	}
}

func TestRunUnknown(t *testing.T) {
	t.Parallel()
	db, _ := openMigrated(t)
	_, err := db.Run(t.Context(), uuid.New())
	require.ErrorIs(t, err, backfill.ErrUnknownRun)
}

// The revision of a run is attempt and phase, whatever comes late.
func TestLateStartHidesNoEnd(t *testing.T) {
	t.Parallel()
	db, _ := openMigrated(t)
	first := backfill.RunRecord{Run: newRun(0), Status: backfill.StatusFailed, CompletedAt: time.Unix(1_750_000_050, 0).UTC()}
	second := first
	second.Attempt, second.Status = 2, backfill.StatusCompleted
	status := func() backfill.RunStatus {
		record, err := db.Run(t.Context(), first.ID())
		require.NoError(t, err)
		return record.Status
	}
	steps := []struct {
		name  string
		write func() error
		want  backfill.RunStatus
	}{
		{"the end comes first", func() error { return db.Finished(t.Context(), first) }, backfill.StatusFailed},
		{"the late start", func() error { return db.Started(t.Context(), first.Run) }, backfill.StatusFailed},
		{"the second attempt", func() error { return db.Started(t.Context(), second.Run) }, backfill.StatusRunning},
		{"the first attempt's start again", func() error { return db.Started(t.Context(), first.Run) }, backfill.StatusRunning},
		{"the first attempt's end again", func() error { return db.Finished(t.Context(), first) }, backfill.StatusRunning},
		{"the second attempt's end", func() error { return db.Finished(t.Context(), second) }, backfill.StatusCompleted},
		{"everything late", func() error { return db.Started(t.Context(), second.Run) }, backfill.StatusCompleted},
	}
	for _, step := range steps {
		require.NoError(t, step.write())
		require.Equal(t, step.want, status(), step.name)
		unfinished, err := db.Unfinished(t.Context())
		require.NoError(t, err)
		require.Equal(t, step.want == backfill.StatusRunning, len(unfinished) == 1, step.name)
		require.Equal(t, uint64(1), scalar[uint64](t, db, "SELECT count() FROM ohlcv_ingestion_runs"), step.name)
	}
}

func TestFirstEndCounts(t *testing.T) {
	t.Parallel()
	db, _ := openMigrated(t)
	record := backfill.RunRecord{Run: newRun(0), Status: backfill.StatusFailed, ErrorMessage: "first"}
	require.NoError(t, db.Finished(t.Context(), record))
	record.Status, record.ErrorMessage = backfill.StatusCompleted, "second"
	require.NoError(t, db.Finished(t.Context(), record))
	got, err := db.Run(t.Context(), record.ID())
	require.NoError(t, err)
	require.Equal(t, "first", got.ErrorMessage)
	record.Status = backfill.StatusRunning
	require.Error(t, db.Finished(t.Context(), record))
}

func TestUnfinished(t *testing.T) {
	t.Parallel()
	db, _ := openMigrated(t)
	run := fullRecord().Run
	require.NoError(t, db.Started(t.Context(), run))
	ended := backfill.RunRecord{Run: newRun(1), Status: backfill.StatusCancelled}
	require.NoError(t, db.Started(t.Context(), ended.Run))
	require.NoError(t, db.Finished(t.Context(), ended))
	got, err := db.Unfinished(t.Context())
	require.NoError(t, err)
	require.Empty(t, cmp.Diff([]backfill.Run{run}, got))
}

func TestRolledBackRun(t *testing.T) {
	t.Parallel()
	db, _ := openMigrated(t)
	record := backfill.RunRecord{Run: newRun(0), Status: backfill.StatusCompleted}
	require.NoError(t, db.Finished(t.Context(), record))
	mustWrite(t, db, newWrite(record.Run, minutes(3, 1)))
	for i, step := range []struct {
		event  string
		status string
		served int
	}{
		{"rolled_back", "rolled_back", 0},
		{"restored", "completed", 3},
		{"rolled_back", "rolled_back", 0},
		{"purging", "rolled_back", 0},
	} {
		setVisible(t, db, record.ID(), i+1, step.event)
		row, err := db.RunDetails(t.Context(), record.ID())
		require.NoError(t, err)
		require.Equal(t, step.status, row.Status, step.event)
		require.Len(t, served(t, db), step.served, step.event)
	}
	setVisible(t, db, record.ID(), 2, "restored") // repeated, out of turn
	require.Empty(t, served(t, db))
	require.NoError(t, db.Finished(t.Context(), record))
	row, err := db.RunDetails(t.Context(), record.ID())
	require.NoError(t, err)
	require.Equal(t, "rolled_back", row.Status, "a late end does not bring it back")
}

// The statement that people know, unchanged but for the database.
const briefSelect = `SELECT 
  run_id,
  started_at,
  completed_at,
  status,
  script_version,
  git_commit_hash,
  git_branch,
  git_dirty,
  candles_fetched,
  candles_inserted,
  tokens_processed,
  errors_count
FROM quantbot.ohlcv_ingestion_runs
ORDER BY started_at DESC
LIMIT 10;`

func TestKnownSelectWorks(t *testing.T) {
	t.Parallel()
	db, _ := openMigrated(t)
	var want []string
	for i := range 12 {
		record := backfill.RunRecord{Run: newRun(i * 1000), Status: backfill.StatusCompleted}
		require.NoError(t, db.Started(t.Context(), record.Run))
		require.NoError(t, db.Finished(t.Context(), record))
		want = append([]string{record.ID().String()}, want...)
	}
	type row struct {
		RunID       uuid.UUID  `ch:"run_id"`
		StartedAt   time.Time  `ch:"started_at"`
		CompletedAt *time.Time `ch:"completed_at"`
		Status      string     `ch:"status"`
		Version     string     `ch:"script_version"`
		Commit      string     `ch:"git_commit_hash"`
		Branch      string     `ch:"git_branch"`
		Dirty       *bool      `ch:"git_dirty"`
		Fetched     int64      `ch:"candles_fetched"`
		Inserted    int64      `ch:"candles_inserted"`
		Tokens      int64      `ch:"tokens_processed"`
		Errors      int64      `ch:"errors_count"`
	}
	rows, err := selectStructs[row](t.Context(), db, strings.ReplaceAll(briefSelect, "quantbot.", db.Database()+"."))
	require.NoError(t, err)
	var got []string
	for _, r := range rows {
		got = append(got, r.RunID.String())
		require.Equal(t, "completed", r.Status)
	}
	require.Equal(t, want[:10], got)
}

// The JSON keys of a row are the view's columns, in its order: scripts read both.
func TestRunRowHasTheViewsColumns(t *testing.T) {
	t.Parallel()
	db, _ := openMigrated(t)
	type column struct {
		Name string `ch:"name"`
	}
	columns, err := selectStructs[column](t.Context(), db,
		"SELECT name FROM system.columns WHERE database = currentDatabase() AND table = 'ohlcv_ingestion_runs' ORDER BY position")
	require.NoError(t, err)
	row := reflect.TypeFor[backfill.RunRow]()
	require.Equal(t, columnsOfTable(t, db, "ohlcv_ingestion_runs"), columnsOf(row), "the view and backfill.RunRow")
	require.Len(t, columns, row.NumField())
	for i, c := range columns {
		require.Equal(t, c.Name, row.Field(i).Tag.Get("json"), "column %d", i+1)
	}
	first := strings.Fields(`run_id started_at completed_at status script_version git_commit_hash git_branch git_dirty cli_args
		env_info input_hash source_tier candles_fetched candles_inserted candles_rejected candles_deduplicated tokens_processed
		errors_count error_message zero_volume_count dedup_mode dedup_completed_at`)
	for i, name := range first {
		require.Equal(t, name, columns[i].Name)
	}

	require.NoError(t, db.Finished(t.Context(), fullRecord()))
	rows, err := report.New(db).Runs(t.Context(), report.RunFilter{})
	require.NoError(t, err)
	encoded, err := json.Marshal(rows[0])
	require.NoError(t, err)
	var decoded map[string]any
	require.NoError(t, json.Unmarshal(encoded, &decoded))
	require.Equal(t, map[string]any{"CLICKHOUSE_HOST": "localhost", "BIRDEYE_API_KEY": "***"}, decoded["env_info"])
	require.Equal(t, "15m", decoded["interval"])
}

func TestRunsFilter(t *testing.T) {
	t.Parallel()
	db, _ := openMigrated(t)
	var records []backfill.RunRecord
	for i, status := range []backfill.RunStatus{backfill.StatusCompleted, backfill.StatusFailed, backfill.StatusCompleted} {
		record := backfill.RunRecord{Run: newRun(i * 1000), Status: status}
		record.Manifest.InputHash = string(rune('a' + i))
		require.NoError(t, db.Started(t.Context(), record.Run))
		require.NoError(t, db.Finished(t.Context(), record))
		records = append(records, record)
	}
	setVisible(t, db, records[2].ID(), 1, "rolled_back")
	for _, test := range []struct {
		name   string
		filter report.RunFilter
		want   []int
	}{
		{"all, newest first", report.RunFilter{}, []int{2, 1, 0}},
		{"limit", report.RunFilter{Limit: 2}, []int{2, 1}},
		{"completed, not rolled back", report.RunFilter{Status: backfill.StatusCompleted}, []int{0}},
		{"rolled back", report.RunFilter{Status: backfill.StatusRolledBack}, []int{2}},
		{"running: ends hide the starts", report.RunFilter{Status: backfill.StatusRunning}, nil},
		{"since", report.RunFilter{Since: records[1].Manifest.StartedAt}, []int{2, 1}},
		{"just after", report.RunFilter{Since: records[1].Manifest.StartedAt.Add(time.Millisecond)}, []int{2}},
		{"input hash", report.RunFilter{InputHash: "b"}, []int{1}},
		{"no such hash", report.RunFilter{InputHash: "b' OR '1'='1"}, nil},
	} {
		rows, err := report.New(db).Runs(t.Context(), test.filter)
		require.NoError(t, err, test.name)
		var got []int
		for _, row := range rows {
			for i := range records {
				if records[i].ID() == row.RunID {
					got = append(got, i)
				}
			}
		}
		require.Equal(t, test.want, got, test.name)
	}
}

func TestResolveRunID(t *testing.T) {
	t.Parallel()
	db, _ := openMigrated(t)
	ids := []uuid.UUID{
		uuid.MustParse("01999999-aaaa-7000-8000-000000000001"),
		uuid.MustParse("01999999-bbbb-7000-8000-000000000002"),
	}
	for _, id := range ids {
		run := newRun(0)
		run.Manifest.RunID = id
		require.NoError(t, db.Started(t.Context(), run))
		require.NoError(t, db.Finished(t.Context(), backfill.RunRecord{Run: run, Status: backfill.StatusCompleted}))
	}
	got, err := report.New(db).ResolveRunID(t.Context(), " 01999999-AAAA ")
	require.NoError(t, err)
	require.Equal(t, ids[0], got)

	_, err = report.New(db).ResolveRunID(t.Context(), "01999999")
	var ambiguous *report.AmbiguousRunError
	require.ErrorAs(t, err, &ambiguous)
	require.Equal(t, ids, ambiguous.Matches)

	for _, unknown := range []string{"01999990", "0199999", "", "01999999%", "zzzzzzzzzz"} {
		_, err = report.New(db).ResolveRunID(t.Context(), unknown)
		require.ErrorIs(t, err, backfill.ErrUnknownRun, unknown)
	}
	whole := uuid.New()
	got, err = report.New(db).ResolveRunID(t.Context(), whole.String())
	require.NoError(t, err, "the ledger alone may know it")
	require.Equal(t, whole, got)
}
