package backfilltest_test

import (
	"testing"
	"time"

	"quantbot/internal/backfill/backfilltest"
)

func TestLedgerInMemoryPassesTheSuite(t *testing.T) {
	t.Parallel()
	backfilltest.RunLedgerSuite(t, func(*testing.T) backfilltest.LedgerUnderTest {
		return backfilltest.NewLedger(time.Now).Under()
	})
}

func TestHistoryInMemoryPassesTheSuite(t *testing.T) {
	t.Parallel()
	backfilltest.RunHistorySuite(t, func(*testing.T) backfilltest.AnyHistory { return backfilltest.NewHistory() })
}

func TestQueueInMemoryPassesTheSuite(t *testing.T) {
	t.Parallel()
	backfilltest.RunQueueSuite(t, func(*testing.T) backfilltest.QueueUnderTest {
		return backfilltest.NewQueue(time.Now).Under()
	})
}
