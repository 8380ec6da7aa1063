package service

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func TestAShorterPauseDoesNotEndALongerOne(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		budget := NewLocal(1_000, time.Now)
		began := time.Now()
		budget.Slow(t.Context(), 2*time.Hour)
		budget.Slow(t.Context(), time.Minute)
		require.NoError(t, budget.Wait(context.Background(), 1))
		require.GreaterOrEqual(t, time.Since(began), 2*time.Hour)
	})
}
