package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jedib0t/go-pretty/v6/table"

	"quantbot/internal/backfill"
	"quantbot/internal/clickhouse"
	"quantbot/internal/manifest"
	"quantbot/internal/publicjson"
)

func (a *app) printJSON(v any) error { return encodeJSON(a.stdout, v) }

func encodeJSON(w io.Writer, v any) error {
	encoded, err := publicjson.MarshalIndent(v)
	if err != nil {
		return fmt.Errorf("encode JSON: %w", err)
	}
	_, err = w.Write(append(encoded, '\n'))
	return err
}

func (a *app) printRuns(rows []listedRun, format string) error {
	if format == "json" {
		return a.printJSON(rows)
	}
	if len(rows) == 0 {
		fmt.Fprintln(a.stdout, "No runs.")
		return nil
	}
	t := a.newTable("run id", "started", "took", "status", "source", "interval", "chunks", "failed", "tokens", "fetched", "inserted", "commit")
	t.spare = []string{"commit", "interval", "tokens", "fetched", "took", "source", "chunks", "inserted", "failed"}
	for _, r := range rows {
		t.AppendRow(table.Row{
			t.runID(r.RunID), formatTime(r.StartedAt), took(r.RunRow), r.status(), r.Source, r.Interval, r.PlannedChunks, r.ErrorsCount,
			r.TokensProcessed, r.CandlesFetched, r.CandlesInserted, commit(r.RunRow),
		})
	}
	t.Render()
	for _, r := range rows {
		for _, sentence := range r.WaitingFor {
			a.say(fmt.Sprintf("%s waits: %s", t.runID(r.RunID), sentence))
		}
	}
	return nil
}

func took(r clickhouse.RunRow) string {
	if r.CompletedAt == nil {
		return ""
	}
	return r.CompletedAt.Sub(r.StartedAt).Round(100 * time.Millisecond).String()
}

// commit is the short hash, with + when the checkout had changes and ? when nobody knows.
func commit(r clickhouse.RunRow) string {
	hash := r.GitCommitHash
	if len(hash) > 9 && hash != manifest.Unknown {
		hash = hash[:9]
	}
	switch {
	case r.GitDirty == nil:
		return hash + "?"
	case *r.GitDirty:
		return hash + "+"
	}
	return hash
}

// field is a line of a printed run.
type field struct{ name, value string }

func (a *app) printFields(fields []field) {
	width := 0
	for _, f := range fields {
		width = max(width, len(f.name))
	}
	for _, f := range fields {
		if f.value != "" {
			line := fmt.Sprintf("  %-*s  %s", width, f.name, f.value)
			fmt.Fprintln(a.stdout, wrapped(line, terminalWidth(a.data), strings.Repeat(" ", width+4)))
		}
	}
}

// printRun prints the outcome of a run in a few lines.
func (a *app) printRun(r clickhouse.RunRow) {
	text := fmt.Sprintf("Run %s %s", r.RunID, r.Status)
	if r.CompletedAt != nil {
		text += " after " + took(r)
	}
	a.say(text)
	a.printFields(statFields(r))
}

func statFields(r clickhouse.RunRow) []field {
	identity := "holds"
	if !r.Stats().Balanced() {
		identity = "BROKEN: report this"
	}
	fields := []field{
		{"chunks", fmt.Sprintf("%d, %d failed, %d cancelled", r.PlannedChunks, r.ErrorsCount, r.CancelledChunks)},
		{"candles", fmt.Sprintf("%d fetched = %d inserted + %d rejected + %d deduplicated (identity %s)",
			r.CandlesFetched, r.CandlesInserted, r.CandlesRejected, r.CandlesDeduplicated, identity)},
		{"deduplicated", deduplicatedText(r)},
	}
	if r.Status == string(backfill.StatusRunning) {
		return append(fields, field{"the rest", "is counted when it ends"})
	}
	return append(fields, []field{
		{"tokens", strconv.FormatInt(r.TokensProcessed, 10)},
		{"zero volume", strconv.FormatInt(r.ZeroVolumeCount, 10)},
		{"dropped", fmt.Sprintf("%d (outside the range or not closed)", r.CandlesDropped)},
		{"api", counted(r.APICalls, "call") + ", " + counted(r.Credits, "credit")},
		{"error", r.ErrorMessage},
	}...)
}

// deduplicatedText says which of the deduplicated candles are stored.
func deduplicatedText(r clickhouse.RunRow) string {
	switch {
	case r.CandlesDeduplicated == 0 || r.Status == string(backfill.StatusRunning):
		return ""
	case r.CandlesShadowed == nil || r.CandlesSkipped == nil:
		return "not recorded how many of them are stored"
	}
	return fmt.Sprintf("%d shadowed (stored, adds nothing over what other runs serve) + %d skipped (not stored)", *r.CandlesShadowed, *r.CandlesSkipped)
}

func (a *app) printDetails(d runDetails) {
	r := d.RunRow
	a.printRun(r)
	fmt.Fprintln(a.stdout, "\nManifest")
	completed := ""
	if r.CompletedAt != nil {
		completed = formatTime(*r.CompletedAt)
	}
	a.printFields([]field{
		{"started", formatTime(r.StartedAt) + " by " + r.StartedBy},
		{"completed", completed},
		{"attempt", strconv.FormatUint(uint64(r.Attempt), 10)},
		{"version", r.ScriptVersion},
		{"git", fmt.Sprintf("%s on %s, %s", r.GitCommitHash, r.GitBranch, dirtiness(r.GitDirty))},
		{"source", fmt.Sprintf("%s %s, tier %d, %s validation, dedup %s", strings.Join(append([]string{r.Source}, r.Fallbacks...), ", else "), r.Interval, r.SourceTier, r.Validation, r.DedupMode)},
		{"values", valuesText(r)},
		{"services", servicesText(r.Services)},
		{"deployment", deploymentText(r.DeploymentID)},
		{"priority", r.Priority},
		{"range", formatTime(r.RangeFrom) + " to " + formatTime(r.RangeTo)},
		{"labels", labelsText(r.Labels)}, {"input hash", r.InputHash},
		{"arguments", compact(r.CLIArgs)},
		{"environment", compact(r.EnvInfo)},
	})
	for _, sentence := range d.WaitingFor {
		fmt.Fprintln(a.stdout)
		a.say("Waits: " + sentence)
	}
	a.printEvents(d.Events)
	a.printFailures(d.Failures)
	if len(d.Rejected) > 0 {
		fmt.Fprintln(a.stdout, "\nRejected candles by rule")
		for _, rejected := range d.Rejected {
			fmt.Fprintf(a.stdout, "  %8d  %s\n", rejected.Candles, rejected.Rule)
		}
	}
	if len(d.Repairs) > 0 {
		fmt.Fprintln(a.stdout, "\nRepaired by the reconciler")
		for _, action := range slices.Sorted(maps.Keys(d.Repairs)) {
			fmt.Fprintf(a.stdout, "  %8d  %s\n", d.Repairs[action], action)
		}
	}
	a.printTasks(d.Tasks)
}

// printEvents prints what became of a run after its attempts had ended, or nothing.
func (a *app) printEvents(events []clickhouse.RunEvent) {
	titled := false
	for _, e := range events {
		if e.Attempt != 0 {
			continue // the rest of the page says it
		}
		text := fmt.Sprintf("  %s  %s by %s", formatTime(e.At), strings.ReplaceAll(e.Event, "_", " "), e.By)
		if e.Reason != "" {
			text += ": " + e.Reason
		}
		if !titled {
			fmt.Fprintln(a.stdout, "\nRolled back and restored")
		}
		titled = true
		a.say(text)
	}
}

// say prints a line for people, broken to the width of the terminal.
func (a *app) say(line string) {
	fmt.Fprintln(a.stdout, wrapped(line, terminalWidth(a.data), "    "))
}

func dirtiness(dirty *bool) string {
	switch {
	case dirty == nil:
		return "unknown whether clean"
	case *dirty:
		return "with uncommitted changes"
	}
	return "clean"
}

func compact(raw json.RawMessage) string {
	if len(raw) == 0 {
		return ""
	}
	return string(raw)
}

func (a *app) printFailures(groups []clickhouse.FailedGroup) {
	if len(groups) == 0 {
		return
	}
	fmt.Fprintln(a.stdout, "\nFailed chunks by error")
	for _, group := range groups {
		a.say(fmt.Sprintf("  %s of %s: %s", counted(group.Chunks, "chunk"), counted(group.Tokens, "token"), group.Error))
		for _, sample := range group.Samples {
			a.say(fmt.Sprintf("    %s %s", sample.Token, sample.Range))
		}
	}
}

func (a *app) printTasks(tasks []clickhouse.TaskDetails) {
	if len(tasks) == 0 {
		return
	}
	fmt.Fprintln(a.stdout, "\nChunks")
	t := a.newTable("chunk", "token", "from", "to", "status", "candles", "calls", "tries", "worker", "error")
	t.spare = []string{"worker", "tries", "calls", "candles", "to", "chunk"}
	for _, task := range tasks {
		o := task.Outcome
		if o == nil {
			o = &backfill.Outcome{}
		}
		t.AppendRow(table.Row{
			task.Chunk.ID, task.Chunk.Token, formatUnix(task.Chunk.Range.From), formatUnix(task.Chunk.Range.To), task.Status,
			o.Stats.Inserted, o.Stats.APICalls, o.Executions, o.Worker, o.Error,
		})
	}
	t.Render()
	for _, task := range tasks {
		if task.Outcome == nil {
			continue
		}
		for _, file := range task.Outcome.Files {
			a.say(fmt.Sprintf("chunk %s was read from %s", task.Chunk.ID, file))
		}
	}
}

// valuesText tells what decided the values that sources gave.
func valuesText(r clickhouse.RunRow) string {
	if r.Outliers == "" {
		return "not recorded: the defaults of the source on that day"
	}
	files := "with published files"
	if r.NoPublishedFiles {
		files = "without published files"
	}
	return fmt.Sprintf("outliers: %s, %s", r.Outliers, files)
}

func labelsText(labels map[string]string) string {
	texts := make([]string, 0, len(labels))
	for _, name := range slices.Sorted(maps.Keys(labels)) {
		texts = append(texts, name+"="+labels[name])
	}
	return strings.Join(texts, ", ")
}

// servicesText names the host that each source was asked at.
func servicesText(services map[string]string) string {
	texts := make([]string, 0, len(services))
	for _, source := range slices.Sorted(maps.Keys(services)) {
		texts = append(texts, source+" at "+services[source])
	}
	return strings.Join(texts, ", ")
}

func deploymentText(id uuid.UUID) string {
	if id == uuid.Nil {
		return ""
	}
	return id.String()
}

func formatUnix(unix int64) string { return formatTime(time.Unix(unix, 0)) }

// rowOf shows a record as the history's view would, for the time until it is there.
func rowOf(record backfill.RunRecord) clickhouse.RunRow {
	m := record.Manifest
	row := clickhouse.RunRow{
		RunID: m.RunID, StartedAt: m.StartedAt, Status: string(record.Status), ScriptVersion: m.ScriptVersion,
		GitCommitHash: m.GitCommitHash, GitBranch: m.GitBranch, GitDirty: m.GitDirty,
		CLIArgs: object(m.CLIArgs), EnvInfo: object(m.EnvInfo), InputHash: m.InputHash, TypedHash: m.TypedHash, SourceTier: uint8(m.SourceTier),
		CandlesFetched: record.Stats.Fetched, CandlesInserted: record.Stats.Inserted, CandlesRejected: record.Stats.Rejected,
		CandlesDeduplicated: record.Stats.Deduplicated, TokensProcessed: int64(record.TokensProcessed),
		ErrorsCount: int64(record.FailedChunks), ErrorMessage: record.ErrorMessage, ZeroVolumeCount: record.Stats.ZeroVolume,
		DedupMode: string(m.DedupMode), Attempt: uint32(max(record.Attempt, 0)), PlannedChunks: int64(record.PlannedChunks),
		CancelledChunks: int64(record.CancelledChunks), CandlesDropped: record.Stats.Dropped, APICalls: record.Stats.APICalls,
		Credits: record.Stats.Credits, Source: m.Source, Fallbacks: m.Fallbacks, MaxCredits: m.MaxCredits, Interval: m.Interval.String(),
		RangeFrom: time.Unix(m.Range.From, 0).UTC(), RangeTo: time.Unix(m.Range.To, 0).UTC(),
		Validation: string(m.Validation), StartedBy: m.StartedBy, Priority: string(m.Priority), RetriedChunks: int64(record.RetriedChunks), HaltRejectionRate: m.HaltRejectionRate,
		Outliers: string(m.Outliers), NoPublishedFiles: m.NoPublishedFiles, Services: m.Services, DeploymentID: m.DeploymentID, Labels: m.Labels,
	}
	row.CandlesShadowed, row.CandlesSkipped = clickhouse.Split(record.Stats)
	if !record.DedupCompletedAt.IsZero() {
		row.DedupCompletedAt = &record.DedupCompletedAt
	}
	if !record.CompletedAt.IsZero() {
		row.CompletedAt = &record.CompletedAt
	}
	return row
}

func object(v any) json.RawMessage {
	encoded, err := json.Marshal(v)
	if err != nil || strings.EqualFold(string(encoded), "null") {
		return json.RawMessage("{}")
	}
	return slices.Clip(encoded)
}

// counted writes a number with its noun: "1 chunk", "2 chunks".
func counted[N ~int | ~int64 | ~uint64](n N, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
