package wiring_test

import (
	"fmt"
	"testing"

	"github.com/hibiken/asynq"
	"github.com/stretchr/testify/require"

	"quantbot/internal/backfill"
	"quantbot/internal/backfill/backfilltest"
	"quantbot/internal/config"
	"quantbot/internal/local/localtest"
	"quantbot/internal/secret"
	"quantbot/internal/tasks"
)

func TestQueuePassesTheSuite(t *testing.T) {
	t.Parallel()
	backfilltest.RunQueueSuite(t, func(t *testing.T) backfilltest.QueueUnderTest {
		conn, err := config.ParseRedis(secret.Text(localtest.New(t).RedisURL))
		require.NoError(t, err)
		inspector := asynq.NewInspector(conn)
		t.Cleanup(func() { require.NoError(t, inspector.Close()) })
		queue := tasks.NewQueue(conn)
		t.Cleanup(func() { require.NoError(t, queue.Close()) })
		return backfilltest.QueueUnderTest{
			Queue: queue,
			Archive: func(run backfill.Run, chunk backfill.ChunkID, generation int) {
				require.NoError(t, inspector.ArchiveTask(tasks.QueueIngest, taskID(run, chunk, generation)))
			},
			Delete: func(run backfill.Run, chunk backfill.ChunkID, generation int) {
				require.NoError(t, inspector.DeleteTask(tasks.QueueIngest, taskID(run, chunk, generation)))
			},
			Waiting: func() int {
				names, err := inspector.Queues()
				require.NoError(t, err)
				waiting := 0
				for _, name := range names {
					if name != tasks.QueueFinish {
						info, err := inspector.GetQueueInfo(name)
						require.NoError(t, err)
						waiting += info.Pending
					}
				}
				return waiting
			},
		}
	})
}

// taskID is the name of a chunk's task in asynq.
func taskID(run backfill.Run, chunk backfill.ChunkID, generation int) string {
	id := fmt.Sprintf("%s:%d:%s", run.ID(), run.Attempt, chunk)
	if generation == 0 {
		return id
	}
	return fmt.Sprintf("%s:%d", id, generation)
}
