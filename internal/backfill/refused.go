package backfill

import (
	"cmp"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/google/uuid"
)

// RefusalReason is why the state of a run forbids what somebody asks for.
type RefusalReason string

// The reasons. refusals has their words.
const (
	RefusedRunning         RefusalReason = "running"         // a rollback, of a run that goes on
	RefusedRolledBack      RefusalReason = "rolled_back"     // a second rollback
	RefusedPurging         RefusalReason = "purging"         // its candles are gone, or are going
	RefusedUndo            RefusalReason = "undo_impossible" // versions that the undo would need have been removed
	RefusedNotRolledBack   RefusalReason = "not_rolled_back" // a restore
	RefusedNotRunning      RefusalReason = "not_running"     // a cancel
	RefusedNothingToResume RefusalReason = "nothing_to_resume"
	RefusedNothingToRetry  RefusalReason = "nothing_to_retry"
	RefusedRetryRunning    RefusalReason = "retry_running"
	RefusedRetryLost       RefusalReason = "retry_lost" // it goes on for the history, and Redis does not know it
	RefusedRetryRolledBack RefusalReason = "retry_rolled_back"
	RefusedRetryUnplanned  RefusalReason = "retry_unplanned" // its plan was never whole
	RefusedSameInput       RefusalReason = "same_input"      // a run with the same input goes on
)

// RefusedError says that the state of a run forbids what was asked for. Nothing was done.
type RefusedError struct {
	Reason RefusalReason
	// RunID is the run whose state it is: for RefusedSameInput the one that goes on.
	RunID uuid.UUID
	// Status is the run's, where the words name it.
	Status RunStatus
	// Recorded and Planned count chunks, for RefusedRetryUnplanned.
	Recorded, Planned int
	// Removed is what is gone, for RefusedUndo.
	Removed []RemovedMonth
}

// refusalWords are the words of a reason. {run}, {status}, {recorded}, {planned}, {removed} and {program} stand for what the
// error knows.
type refusalWords struct {
	// text is the error's, which pages show of an action that was refused.
	text string
	// command is what a command ends with; empty = as text.
	command string
	// page is what a page shows in place of an action that cannot be done; empty = as text.
	page string
}

var refusals = map[RefusalReason]refusalWords{
	RefusedRunning: {
		text:    "the run is still running: cancel it first with runs-cancel",
		command: "run {run}: the run is still running: cancel it first with runs-cancel",
		page:    "The run is still running: cancel it first.",
	},
	RefusedRolledBack: {
		text:    "the run is rolled back already",
		command: "run {run}: the run is rolled back already",
		page:    "The run is rolled back already.",
	},
	RefusedPurging: {
		text:    "the run's candles have been purged, or are being purged: it cannot be restored; fetch them again",
		command: "run {run}: the run's candles have been purged, or are being purged: it cannot be restored; fetch them again",
	},
	RefusedUndo: {
		text:    "versions that the undo would need have been removed ({removed}); --force rolls back all the same and leaves gaps there",
		command: "run {run}: versions that the undo would need have been removed ({removed}); --force rolls back all the same and leaves gaps there",
	},
	RefusedNotRolledBack: {
		text:    "the run is not rolled back",
		command: "run {run}: the run is not rolled back",
		page:    "The run is not rolled back.",
	},
	RefusedNotRunning: {
		text:    "The run is not running.",
		command: "run {run} is not running: see {program} ohlcv runs-details {run}",
	},
	RefusedNothingToResume: {
		text: "run {run} is {status}, not running: take up its failed chunks with runs-retry",
	},
	RefusedNothingToRetry: {
		text: "run {run} is {status}: there is nothing to retry",
		page: "The run is {status}: there is nothing to retry.",
	},
	RefusedRetryRunning: {
		text: "run {run} is still running: wait for it with runs-watch, or end it with runs-cancel",
	},
	RefusedRetryLost: {
		text: "run {run} is running for the history and unknown to Redis: go on with it by runs-resume",
	},
	RefusedRetryRolledBack: {
		text: "run {run} is rolled back: its candles would stay invisible",
		page: "The run is rolled back: its candles would stay invisible.",
	},
	RefusedRetryUnplanned: {
		text: "run {run} has {recorded} of its {planned} chunks on record, it ended while it was being planned: start it again with ingestion ohlcv",
	},
	RefusedSameInput: {
		text: "run {run} with the same input is still running: watch it with runs-watch, or start another one with --force",
	},
}

// Error returns the sentence that pages and logs show.
func (e *RefusedError) Error() string { return e.words(refusals[e.Reason].text, "") }

// CommandWords returns the sentence that a command of the program ends with.
func (e *RefusedError) CommandWords(program string) string {
	words := refusals[e.Reason]
	return e.words(cmp.Or(words.command, words.text), program)
}

// PageWords returns the sentence that a page shows in place of the action.
func (e *RefusedError) PageWords() string {
	words := refusals[e.Reason]
	return e.words(cmp.Or(words.page, words.text), "")
}

func (e *RefusedError) words(template, program string) string {
	removed := make([]string, len(e.Removed))
	for i, m := range e.Removed {
		removed[i] = fmt.Sprintf("%d of %d-%02d", m.Versions, m.Month/100, m.Month%100)
	}
	return strings.NewReplacer(
		"{run}", e.RunID.String(), "{status}", string(e.Status), "{program}", program, "{removed}", strings.Join(removed, ", "),
		"{recorded}", strconv.Itoa(e.Recorded), "{planned}", strconv.Itoa(e.Planned),
	).Replace(template)
}

// RefusalOf returns why an action was refused; empty when err is something else.
func RefusalOf(err error) RefusalReason {
	if refused, ok := errors.AsType[*RefusedError](err); ok {
		return refused.Reason
	}
	return ""
}
