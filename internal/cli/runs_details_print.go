package cli

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/google/uuid"
	"github.com/jedib0t/go-pretty/v6/table"

	"quantbot/internal/backfill"
	"quantbot/internal/clickhouse/report"
)

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
func (a *app) printEvents(events []report.RunEvent) {
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

func (a *app) printFailures(groups []report.FailedGroup) {
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

func (a *app) printTasks(tasks []report.TaskDetails) {
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

// valuesText says what decided the values that sources gave.
func valuesText(r backfill.RunRow) string {
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
