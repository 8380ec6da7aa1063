package tasks

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"quantbot/internal/backfill"
	"quantbot/internal/candle"
	"quantbot/internal/manifest"
)

var (
	testDeployment = uuid.MustParse("0192f0c1-2222-7222-8222-222222222222")
	testRun        = backfill.Run{Attempt: 2, Manifest: manifest.Manifest{
		RunID: uuid.MustParse("0192f0c1-1111-7111-8111-111111111111"), DeploymentID: testDeployment,
	}}
	testChunk = backfill.NewChunk(candle.Token{Chain: candle.Solana, Address: "So11111111111111111111111111111111111111112"},
		candle.Interval1m, candle.Range{From: 1_700_000_040, To: 1_700_003_640})
)

func TestPayloadsSurviveTheTrip(t *testing.T) {
	t.Parallel()
	data, err := encodeFill(testRun, testChunk)
	require.NoError(t, err)
	task, chunk, err := decodeFill(data)
	require.NoError(t, err)
	require.Equal(t, testChunk, chunk)
	require.Equal(t, backfill.Task{RunID: testRun.ID(), Attempt: 2, ChunkID: testChunk.ID}, task)

	require.Equal(t, testDeployment, deploymentOf(data))

	data, err = encodeFinish(testRun)
	require.NoError(t, err)
	require.Equal(t, testDeployment, deploymentOf(data))
	runID, attempt, err := decodeFinish(data)
	require.NoError(t, err)
	require.Equal(t, testRun.ID(), runID)
	require.Equal(t, 2, attempt)
}

// A worker that does not know what a run asks of its sources must leave the run's tasks to one that does.
func TestOnlyWorkersThatKnowTakeWhatIsNotTheDefault(t *testing.T) {
	t.Parallel()
	for want, m := range map[int][]manifest.Manifest{
		1: {{}, {Outliers: manifest.OutliersKeep}},
		2: {{Outliers: manifest.OutliersFilter}, {NoPublishedFiles: true}},
		3: {{DeploymentID: testDeployment}},
	} {
		for _, m := range m {
			run := testRun
			m.RunID = run.Manifest.RunID
			run.Manifest = m
			data, err := encodeFill(run, testChunk)
			require.NoError(t, err)
			require.Contains(t, string(data), fmt.Sprintf(`"v":%d`, want))
			_, _, err = decodeFill(data)
			require.NoError(t, err)
		}
	}
}

// Queued tasks outlive deployments: every payload that was ever enqueued must stay readable.
func TestOldPayloadsStayReadable(t *testing.T) {
	t.Parallel()
	fills, err := filepath.Glob("testdata/fill_v*.json")
	require.NoError(t, err)
	require.Len(t, fills, payloadVersion)
	for i, path := range fills {
		data, err := os.ReadFile(path)
		require.NoError(t, err)
		_, chunk, err := decodeFill(data)
		require.NoError(t, err, path)
		require.Equal(t, testChunk, chunk, path)
		require.Equal(t, i+1 == payloadVersion, deploymentOf(data) == testDeployment, path)
	}
	finishes, err := filepath.Glob("testdata/finish_v*.json")
	require.NoError(t, err)
	require.Len(t, finishes, payloadVersion-1, "the second version is one of chunks alone")
	for i, path := range finishes {
		data, err := os.ReadFile(path)
		require.NoError(t, err)
		runID, _, err := decodeFinish(data)
		require.NoError(t, err, path)
		require.Equal(t, testRun.ID(), runID, path)
		require.Equal(t, i == 1, deploymentOf(data) == testDeployment, path)
	}
}

func TestBadPayloadsAreRefused(t *testing.T) {
	t.Parallel()
	good, err := encodeFill(testRun, testChunk)
	require.NoError(t, err)
	for name, data := range map[string]string{
		"no JSON": "{", "empty": "", "no version": `{"run_id":"0192f0c1-1111-7111-8111-111111111111"}`,
		"foreign id": string(good[:len(good)-2]) + `1}`,
	} {
		_, _, err := decodeFill([]byte(data))
		require.ErrorIs(t, err, errPayload, name)
	}
	_, _, err = decodeFill([]byte(`{"v":99}`))
	require.ErrorIs(t, err, errNewerPayload, "a newer worker may read it")
	_, _, err = decodeFinish([]byte(`{"v":1,"attempt":1}`))
	require.ErrorIs(t, err, errPayload)
}

func FuzzDecodeFill(f *testing.F) {
	good, err := encodeFill(testRun, testChunk)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add([]byte(`{"v":1}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		task, chunk, err := decodeFill(data)
		if err != nil {
			return
		}
		again, err := encodeFill(backfill.Run{Attempt: task.Attempt, Manifest: manifest.Manifest{RunID: task.RunID}}, chunk)
		if err != nil {
			t.Fatal(err)
		}
		task2, chunk2, err := decodeFill(again)
		if err != nil || task2 != task || chunk2 != chunk {
			t.Fatalf("%s came back as %s: %v", data, again, err)
		}
	})
}
