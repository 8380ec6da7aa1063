package ledger

import (
	"strconv"

	"github.com/google/uuid"

	"quantbot/internal/backfill"
)

const (
	activeKey = "quantbot:runs:active"
	// deploymentKey says whose Redis this is.
	deploymentKey = "quantbot:deployment"
	// actionsKey counts what reconcilers did, over all runs and for good.
	actionsKey = "quantbot:reconciler:actions"
	// workerWaitsKey has what each worker waits for, whichever runs it works on.
	workerWaitsKey = "quantbot:waits"
	// sweptKey has when a sweep last succeeded, in Unix seconds.
	sweptKey = "quantbot:sweep:succeeded"
)

// MaintenanceLock keeps rollback, restore, the start of a retry, sweep and purge apart.
const MaintenanceLock = "maintenance"

func inputKey(hash string) string { return "quantbot:input:" + hash }

func leaseKey(duty backfill.Duty) string { return "quantbot:lease:" + string(duty) }

func lockKey(name string) string { return "quantbot:lock:" + name }

// nextKey and processesKey have the whole of another key as their hash tag, so that both share a slot.
func nextKey(lock string) string { return "{" + lock + "}:next" }

func processesKey() string { return "{" + deploymentKey + "}:processes" }

// runKeys names the keys of a run.
type runKeys struct{ prefix string }

func keysOf(runID uuid.UUID) runKeys { return runKeys{prefix: "quantbot:{" + runID.String() + "}:"} }

func (k runKeys) meta() string { return k.prefix + "meta" }
func (k runKeys) plan() string { return k.prefix + "plan" }
func (k runKeys) late() string { return k.prefix + "late" }

// waits expires by itself within seconds, unlike the other keys of a run.
func (k runKeys) waits() string { return k.prefix + "waits" }

func (k runKeys) pending(attempt int) string  { return k.of(attempt, "pending") }
func (k runKeys) outcome(attempt int) string  { return k.of(attempt, "outcome") }
func (k runKeys) tries(attempt int) string    { return k.of(attempt, "tries") }
func (k runKeys) progress(attempt int) string { return k.of(attempt, "progress") }
func (k runKeys) lease(attempt int) string    { return k.of(attempt, "lease") }

func (k runKeys) of(attempt int, name string) string {
	return k.prefix + "a" + strconv.Itoa(attempt) + ":" + name
}

// all lists every key that the run may have up to this attempt, meta and late first. A Redis Cluster wants scripts to
// name them.
func (k runKeys) all(attempt int) []string {
	keys := []string{k.meta(), k.late(), k.plan()}
	for n := 1; n <= attempt; n++ {
		keys = append(keys, k.pending(n), k.outcome(n), k.tries(n), k.progress(n), k.lease(n))
	}
	return keys
}
