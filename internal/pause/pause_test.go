package pause_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"quantbot/internal/pause"
)

func TestAPauseLastsAndMayBeCutShort(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		require.NoError(t, pause.For(t.Context(), time.Hour))
		require.Equal(t, time.Hour, time.Since(began))
		require.NoError(t, pause.For(t.Context(), 0))
		require.NoError(t, pause.For(t.Context(), -time.Hour))

		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		began = time.Now()
		require.ErrorIs(t, pause.For(ctx, time.Hour), context.DeadlineExceeded)
		require.Equal(t, time.Minute, time.Since(began))
		require.ErrorIs(t, pause.For(ctx, 0), context.DeadlineExceeded)
	})
}
