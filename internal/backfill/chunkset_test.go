package backfill

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"quantbot/internal/candle"
)

func TestChunkSetEqualsMap(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var set ChunkSet
		model := map[ChunkID]bool{}
		for range rapid.IntRange(0, 30).Draw(t, "ids") {
			id := NewChunk(candle.Token{Address: "a"}, candle.Interval1m, candle.Range{To: rapid.Int64Range(0, 5).Draw(t, "to")}).ID
			switch rapid.IntRange(0, 3).Draw(t, "kind") {
			case 0:
				id = ChunkID(strings.ToUpper(string(id))) // another id, of the same bytes
			case 1:
				id = "x" + id[1:]
			case 2:
				id = id[:5]
			}
			require.Equal(t, !model[id], set.Add(id))
			model[id] = true
		}
	})
}
