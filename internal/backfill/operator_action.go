package backfill

import (
	"time"

	"github.com/google/uuid"
)

// The results of an operator's action.
const (
	ActionStarted = "started"
	ActionDone    = "done"
	ActionRefused = "refused"
	ActionFailed  = "failed"
)

// OperatorAction is something that a person did through the dashboard.
type OperatorAction struct {
	ID     uuid.UUID `json:"action_id" ch:"action_id"`
	Action string    `json:"action" ch:"action"`
	// RunID is the zero id where the action is not about a run.
	RunID      uuid.UUID `json:"run_id" ch:"run_id"`
	By         string    `json:"requested_by" ch:"requested_by"`
	Address    string    `json:"address" ch:"address"`
	Reason     string    `json:"reason" ch:"reason"`
	Result     string    `json:"result" ch:"result"`
	Detail     string    `json:"detail" ch:"detail"`
	RecordedAt time.Time `json:"recorded_at" ch:"recorded_at"` // the server's; ignored when written
}
