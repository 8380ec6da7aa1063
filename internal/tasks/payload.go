package tasks

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	"github.com/google/uuid"

	"quantbot/internal/backfill"
	"quantbot/internal/candle"
	"quantbot/internal/manifest"
)

// Task types. They are stored in Redis and outlive deployments: never change one.
const (
	TypeFill   = "candles:fill"
	TypeFinish = "run:finish"
	TypeSweep  = "dedup:sweep"
)

// payloadVersion is raised when a payload changes in a way that older workers would misread; they then refuse the task,
// which the queue keeps and retries until a newer worker takes it.
const payloadVersion = 3

// plainVersion is what all workers understand, and what is of no deployment in particular. The second version is that of runs
// whose manifest asks sources for other values than their defaults: a worker that does not know of that would fetch others. The
// third names the deployment, as all do now: a worker that does not know of that would take another's.
const plainVersion = 1

func fillVersion(m *manifest.Manifest) int {
	switch {
	case m.DeploymentID != uuid.Nil:
		return payloadVersion
	case m.Outliers == manifest.OutliersFilter || m.NoPublishedFiles:
		return 2
	}
	return plainVersion
}

func finishVersion(m *manifest.Manifest) int {
	if m.DeploymentID != uuid.Nil {
		return payloadVersion
	}
	return plainVersion
}

// errPayload marks payloads that no worker will ever understand.
var errPayload = errors.New("malformed payload")

// errNewerPayload marks payloads of a newer enqueuer.
var errNewerPayload = errors.New("payload of a newer version of quantbot")

type fillPayload struct {
	Version int `json:"v"`
	// DeploymentID is whose task it is; zero = everybody's.
	DeploymentID uuid.UUID        `json:"deployment_id,omitzero"`
	RunID        uuid.UUID        `json:"run_id"`
	Attempt      int              `json:"attempt"`
	ChunkID      backfill.ChunkID `json:"chunk_id"`
	Chain        candle.Chain     `json:"chain"`
	Address      string           `json:"address"`
	Interval     candle.Interval  `json:"interval"`
	From         int64            `json:"from"`
	To           int64            `json:"to"`
}

type finishPayload struct {
	Version      int       `json:"v"`
	DeploymentID uuid.UUID `json:"deployment_id,omitzero"`
	RunID        uuid.UUID `json:"run_id"`
	Attempt      int       `json:"attempt"`
}

// deploymentOf is whose task it is; zero = everybody's, or a payload that its own decoder refuses.
func deploymentOf(payload []byte) uuid.UUID {
	var p struct {
		DeploymentID uuid.UUID `json:"deployment_id"`
	}
	if err := json.Unmarshal(payload, &p); err != nil {
		return uuid.Nil
	}
	return p.DeploymentID
}

func encodeFill(run backfill.Run, chunk backfill.Chunk) ([]byte, error) {
	return json.Marshal(fillPayload{
		Version: fillVersion(&run.Manifest), DeploymentID: run.Manifest.DeploymentID, RunID: run.ID(), Attempt: run.Attempt, ChunkID: chunk.ID,
		Chain: chunk.Token.Chain, Address: chunk.Token.Address, Interval: chunk.Interval,
		From: chunk.Range.From, To: chunk.Range.To,
	})
}

// decodeFill refuses a payload whose chunk id is not the hash of its content: such a task would record its outcome
// under another chunk's name.
func decodeFill(data []byte) (backfill.Task, backfill.Chunk, error) {
	var p fillPayload
	if err := decode(data, &p, &p.Version); err != nil {
		return backfill.Task{}, backfill.Chunk{}, err
	}
	chunk := backfill.NewChunk(candle.Token{Chain: p.Chain, Address: p.Address}, p.Interval, candle.Range{From: p.From, To: p.To})
	if p.Attempt < 1 || p.RunID == uuid.Nil || p.Interval == 0 || chunk.Range.Empty() || chunk.ID != p.ChunkID {
		return backfill.Task{}, backfill.Chunk{}, fmt.Errorf("%w: chunk id does not match its content", errPayload)
	}
	return backfill.Task{RunID: p.RunID, Attempt: p.Attempt, ChunkID: p.ChunkID}, chunk, nil
}

func encodeFinish(run backfill.Run) ([]byte, error) {
	return json.Marshal(finishPayload{
		Version: finishVersion(&run.Manifest), DeploymentID: run.Manifest.DeploymentID, RunID: run.ID(), Attempt: run.Attempt,
	})
}

func decodeFinish(data []byte) (runID uuid.UUID, attempt int, err error) {
	var p finishPayload
	if err := decode(data, &p, &p.Version); err != nil {
		return uuid.Nil, 0, err
	}
	if p.Attempt < 1 || p.RunID == uuid.Nil {
		return uuid.Nil, 0, fmt.Errorf("%w: run or attempt missing", errPayload)
	}
	return p.RunID, p.Attempt, nil
}

func decode(data []byte, payload any, version *int) error {
	if err := json.Unmarshal(data, payload); err != nil {
		return fmt.Errorf("%w: %w", errPayload, err)
	}
	switch {
	case *version > payloadVersion:
		return fmt.Errorf("%w: version %d, this worker knows %d", errNewerPayload, *version, payloadVersion)
	case *version < 1:
		return fmt.Errorf("%w: version missing", errPayload)
	}
	return nil
}

// fillTaskID holds run and attempt because the id of an archived task stays taken. Generation 0 is the first task.
func fillTaskID(t backfill.Task, generation int) string {
	id := t.RunID.String() + ":" + strconv.Itoa(t.Attempt) + ":" + string(t.ChunkID)
	if generation == 0 {
		return id
	}
	return id + ":" + strconv.Itoa(generation)
}

func finishTaskID(runID uuid.UUID, attempt int) string {
	return "finish:" + runID.String() + ":" + strconv.Itoa(attempt)
}
