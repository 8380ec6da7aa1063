package ledger_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"quantbot/internal/backfill"
	"quantbot/internal/ledger"
)

func TestCheckIsContentWithTestRedis(t *testing.T) {
	t.Parallel()
	l, _ := newLedger(t)
	warnings, err := l.Check(t.Context())
	require.NoError(t, err)
	require.Empty(t, warnings)
}

func TestCheckNeedsRedis(t *testing.T) {
	t.Parallel()
	_, err := deadLedger(t).Check(t.Context())
	require.Equal(t, backfill.ClassStore, backfill.ClassOf(err))
}

func TestWarningReadsAsSentence(t *testing.T) {
	t.Parallel()
	w := ledger.Warning{Setting: "appendonly", Value: "no", Advice: "set it to yes"}
	require.Equal(t, "redis appendonly is no: set it to yes", w.String())
	w.Value = ""
	require.Equal(t, "redis appendonly is unreadable: set it to yes", w.String())
}
