package tasks

import (
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"quantbot/internal/backfill"
	"quantbot/internal/candle"
)

func TestDescribe(t *testing.T) {
	run := backfill.Run{Attempt: 2}
	run.Manifest.RunID = uuid.MustParse("0192f0c1-5e0c-7cc0-9f5e-0a6a6d5c1b2f")
	chunk := backfill.NewChunk(candle.Token{Chain: candle.Solana, Address: "So111"}, candle.Interval1m, candle.Range{From: 1_700_000_040, To: 1_700_003_640})
	fill, err := encodeFill(run, chunk)
	require.NoError(t, err)
	require.Equal(t, "run 0192f0c1-5e0c-7cc0-9f5e-0a6a6d5c1b2f, attempt 2: 1m candles of solana:So111 from 2023-11-14T22:14:00Z to 2023-11-14T23:14:00Z  "+string(fill),
		Describe(TypeFill, fill))
	finish, err := encodeFinish(run)
	require.NoError(t, err)
	require.Contains(t, Describe(TypeFinish, finish), "finish run 0192f0c1-5e0c-7cc0-9f5e-0a6a6d5c1b2f, attempt 2")
	for payload, shown := range map[string]string{
		"": "–", "{ \"a\" : 1 }": `{"a":1}`, "plain": "plain", "\xff\x00": "2 bytes that are no text",
	} {
		require.Equal(t, shown, Describe("somebody:else", []byte(payload)))
		require.Equal(t, shown, Describe(TypeFill, []byte(payload)), "what cannot be decoded is shown as it is")
	}
}
