package clickhouse

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"quantbot/internal/backfill"
)

// Many small inserts beside reads on the same pool: with a context that is cancelled after Send, one in a few hundred of
// these calls lost its connection.
func TestInsertsLeaveThePoolAlone(t *testing.T) {
	t.Parallel()
	db, _ := openMigrated(t)
	group, ctx := errgroup.WithContext(t.Context())
	for range 8 {
		group.Go(func() error {
			for range 100 {
				if err := db.Started(ctx, newRun(0)); err != nil {
					return err
				}
				if _, err := db.PlannedCount(ctx, newRun(0).ID(), 1); err != nil {
					return err
				}
			}
			return nil
		})
	}
	require.NoError(t, group.Wait())
}

func TestInsertContext(t *testing.T) {
	t.Parallel()
	t.Run("ends with its parent", func(t *testing.T) {
		t.Parallel()
		parent, cancel := context.WithCancel(t.Context())
		ctx, settle := insertContext(parent, time.Hour)
		defer settle()
		cancel()
		<-ctx.Done()
		require.ErrorIs(t, context.Cause(ctx), context.Canceled)
	})
	t.Run("ends after its time", func(t *testing.T) {
		t.Parallel()
		ctx, settle := insertContext(t.Context(), time.Millisecond)
		defer settle()
		<-ctx.Done()
		require.ErrorIs(t, context.Cause(ctx), context.DeadlineExceeded)
	})
	t.Run("never ends once settled", func(t *testing.T) {
		t.Parallel()
		parent, cancel := context.WithCancel(t.Context())
		ctx, settle := insertContext(parent, time.Hour)
		settle()
		cancel()
		require.NoError(t, ctx.Err())
	})
}

// A server that takes the insert and never answers: the caller's deadline holds.
func TestInsertGivesUpInTime(t *testing.T) {
	t.Parallel()
	db, _ := openMigrated(t)
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	mustExec(t, db, "CREATE TABLE slow (x UInt8, CONSTRAINT wait CHECK sleepEachRow(2) = 0) ENGINE = MergeTree ORDER BY x")
	err := db.insertColumns(ctx, "INSERT INTO slow (x)", []columnValues{slice[uint8]{1}})
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.Equal(t, backfill.ClassStore, backfill.ClassOf(db.Failed("insert", err)))
}
