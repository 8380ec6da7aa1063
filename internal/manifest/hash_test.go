package manifest

import (
	"bytes"
	"encoding/json"
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
)

type hashedToken struct {
	Chain   string  `json:"chain"`
	Address string  `json:"address"`
	From    int64   `json:"from"`
	Score   float64 `json:"score"`
}

// Runs recorded by older releases are found by this hash: when the test fails, the code is wrong, not the test.
func TestInputHashStaysTheSameOverReleases(t *testing.T) {
	t.Parallel()
	hash, err := InputHash(map[string]any{
		"wanted": []hashedToken{{"solana", `a "quoted" <ü>`, math.MaxInt64, 0.1}, {}}, "interval": "1m", "none": nil, "empty": []int{},
	})
	require.NoError(t, err)
	require.Equal(t, "e7d7342df501be10b7167f36e8a0c5c89546197f1c20a2de6c0039f55858c1ac", hash)
}

func TestInputHashIgnoresOnlyTheOrderOfFields(t *testing.T) {
	t.Parallel()
	hash := func(v any) string {
		h, err := InputHash(v)
		require.NoError(t, err)
		return h
	}
	want := hash(hashedToken{"solana", "a", 1, 2})
	require.Equal(t, want, hash(struct {
		Score   int    `json:"score"`
		From    int    `json:"from"`
		Address string `json:"address"`
		Chain   string `json:"chain"`
	}{2, 1, "a", "solana"}))
	require.Equal(t, want, hash(map[string]any{"from": 1, "score": 2, "chain": "solana", "address": "a"}))
	require.NotEqual(t, want, hash(hashedToken{"solana", "A", 1, 2}))
	require.NotEqual(t, hash([]int{1, 2}), hash([]int{2, 1}))
	require.NotEqual(t, hash([]int64{math.MaxInt64}), hash([]int64{math.MaxInt64 - 1}), "no number passes through a float")
}

func TestInputHashRefusesWhatJSONCannotHold(t *testing.T) {
	t.Parallel()
	_, err := InputHash(math.NaN())
	require.ErrorContains(t, err, "hash input")
}

// The reference decodes everything into maps, which encoding/json writes sorted.
func FuzzCanonicalKeepsTheValue(f *testing.F) {
	for _, seed := range []string{`{"b":[1,{"d":{},"c":"}]\\\""}],"a":null}`, `[]`, `"\u003c"`, `1e400`, `{"a,":1,"":{"":[[]]}}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var value json.RawMessage
		if json.Unmarshal(data, &value) != nil {
			return
		}
		plain, err := json.Marshal(decode(t, value)) // compact and with duplicate names gone, as from a Go value
		require.NoError(t, err)
		canonical := appendCanonical(nil, plain)
		if diff := cmp.Diff(decode(t, plain), decode(t, canonical)); diff != "" {
			t.Fatalf("%s became %s: %s", plain, canonical, diff)
		}
		require.Len(t, canonical, len(plain))
		require.Equal(t, canonical, appendCanonical(nil, canonical))
	})
}

func decode(t *testing.T, data []byte) any {
	t.Helper()
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber()
	var value any
	require.NoError(t, decoder.Decode(&value))
	return value
}
