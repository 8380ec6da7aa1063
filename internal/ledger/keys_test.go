package ledger

import (
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
)

// A Redis Cluster runs a script only when all its keys are in one slot, which the part in braces decides.
func TestKeysOfRunShareSlot(t *testing.T) {
	t.Parallel()
	runID := uuid.MustParse("01930000-0000-7000-8000-000000000001")
	keys := keysOf(runID).all(12)
	require.Len(t, keys, 3+12*5)
	require.Equal(t, "quantbot:{"+runID.String()+"}:meta", keys[0])
	require.Contains(t, keys, "quantbot:{"+runID.String()+"}:a12:pending")
	for _, key := range keys {
		require.Equal(t, 1, strings.Count(key, "{"+runID.String()+"}"), key)
	}
}
