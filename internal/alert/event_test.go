package alert_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"quantbot/internal/alert"
)

// The ids are part of the contract with receivers, and must stay the same over versions.
func TestIDsAreDeterministic(t *testing.T) {
	t.Parallel()
	end := failedRun()
	event := alert.Ended(end)
	require.Equal(t, "84211d4a-f3db-5986-bb3b-284b4139a6d6", event.ID.String())
	end.Run.Failed, end.Run.Error, end.At = 9, "other", time.Now()
	require.Equal(t, event.ID, alert.Ended(end).ID, "by what ended, not by how it is reported")
	end.Run.Attempt++
	require.NotEqual(t, event.ID, alert.Ended(end).ID)

	stalled := alert.StalledRun{Run: end.Run, Since: time.Unix(1, 0), Silence: time.Hour}
	first := alert.Stalled(stalled).ID
	stalled.Silence = 2 * time.Hour
	require.Equal(t, first, alert.Stalled(stalled).ID, "the same silence")
	stalled.Since = time.Unix(2, 0)
	require.NotEqual(t, first, alert.Stalled(stalled).ID, "another one")

	day := time.Date(2025, 3, 1, 10, 0, 0, 0, time.UTC)
	parking := alert.Parking{Source: "birdeye", Account: "ab", Until: day}
	quota := alert.Exhausted(parking, day).ID
	parking.Until = day.Add(time.Hour)
	require.Equal(t, quota, alert.Exhausted(parking, day.Add(13*time.Hour)).ID, "once a day")
	require.NotEqual(t, quota, alert.Exhausted(parking, day.Add(15*time.Hour)).ID)
	parking.Source, parking.Account = "birdeyea", "b"
	require.NotEqual(t, quota, alert.Exhausted(parking, day).ID)

	test := alert.Test(day)
	require.NotEqual(t, test.ID, alert.Test(day).ID)
}

func TestAnEndIsReportedAsOneKind(t *testing.T) {
	t.Parallel()
	end := failedRun()
	require.Equal(t, alert.KindFailed, alert.Ended(end).Kind)
	end.Run.Error = "halted: 60 of 100 candles rejected, above the limit of 50%"
	halted := alert.Ended(end)
	require.Equal(t, alert.KindHalted, halted.Kind)
	require.Contains(t, halted.Text, "halted (attempt 2, birdeye, started by ana@desk): 3 of 50 chunks failed")
	end.Run.Status = "completed"
	end.Run.Error, end.Run.Failed, end.Run.Inserted = "", 0, 89
	faulty := alert.Ended(end)
	require.Equal(t, alert.KindFaulty, faulty.Kind)
	require.Contains(t, faulty.Text, "10 of 100 candles rejected, fetched differs from inserted + rejected + deduplicated. Next: quantbot ohlcv runs-details")

	end.Run.Error = strings.Repeat("é", 10_000)
	require.Less(t, len(alert.Ended(end).Text), 1_500, "chat services refuse long texts")
	require.True(t, strings.HasSuffix(alert.Ended(end).Text, end.Run.ID.String()))
}
