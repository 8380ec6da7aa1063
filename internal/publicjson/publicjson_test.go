package publicjson

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"quantbot/internal/backfill"
	"quantbot/internal/candle"
)

type leaf struct {
	Names []string `json:"names"`
	Bytes []byte   `json:"bytes"`
}

type Embedded struct {
	Inner []leaf `json:"inner"`
}

type tree struct {
	Embedded
	ID       uuid.UUID         `json:"id"`
	At       time.Time         `json:"at"`
	Ended    *time.Time        `json:"ended"`
	Raw      json.RawMessage   `json:"raw"`
	Labels   map[string]string `json:"labels"`
	ByName   map[string]leaf   `json:"by_name"`
	Any      any               `json:"any"`
	Leaf     *leaf             `json:"leaf"`
	None     *leaf             `json:"none"`
	Pair     [2]leaf           `json:"pair"`
	Children []tree            `json:"children"`
	Maybe    []string          `json:"maybe,omitempty"`
	Zero     []string          `json:"zero,omitzero"`
	Hidden   []string          `json:"-"`
	private  []string
}

func TestListsAreNeverNull(t *testing.T) {
	t.Parallel()
	given := tree{
		Raw: json.RawMessage("null"), ByName: map[string]leaf{"a": {}}, Any: leaf{}, Leaf: &leaf{}, Children: []tree{{Raw: json.RawMessage(`{"kept":null}`)}},
	}
	encoded, err := Marshal(given)
	require.NoError(t, err)
	const empty, zero = `{"names":[],"bytes":""}`, `"id":"00000000-0000-0000-0000-000000000000","at":"0001-01-01T00:00:00Z","ended":null`
	require.JSONEq(t, `{"inner":[],`+zero+`,"raw":null,"labels":{},"by_name":{"a":`+empty+`},"any":`+empty+`,"leaf":`+empty+`,"none":null,"pair":[`+empty+`,`+empty+
		`],"children":[{"inner":[],`+zero+`,"raw":{"kept":null},"labels":{},"by_name":{},"any":null,"leaf":null,"none":null,"pair":[`+empty+`,`+empty+`],"children":[]}]}`, string(encoded))
	require.Nil(t, given.Labels, "what was given stays as it is")
	require.Nil(t, given.Children[0].Inner)
	require.Nil(t, given.Leaf.Names)
	require.Nil(t, given.private)
}

func TestTopLevelValues(t *testing.T) {
	t.Parallel()
	for want, v := range map[string]any{"null": nil, "[]": []leaf(nil), "{}": map[string]int(nil), "3": 3, `"0001-01-01T00:00:00Z"`: time.Time{}, `{"list":[]}`: map[string]any{"list": []int(nil)}} {
		encoded, err := Marshal(v)
		require.NoError(t, err)
		require.JSONEq(t, want, string(encoded))
	}
}

func TestOneShapeForOneThing(t *testing.T) {
	t.Parallel()
	r := candle.Range{From: 1_735_689_600, To: 1_735_776_000}
	const written = `{"from":"2025-01-01T00:00:00Z","to":"2025-01-02T00:00:00Z"}`
	stats := backfill.Stats{Fetched: 5, Inserted: 2, Rejected: 1, Deduplicated: 2, Shadowed: 1, Skipped: 1}
	const counts = `{"candles_fetched":5,"candles_inserted":2,"candles_rejected":1,"candles_deduplicated":2,"candles_shadowed":1,"candles_skipped":1,
		"zero_volume_count":0,"candles_dropped":0,"api_calls":0,"credits":0}`
	unsplit := stats
	unsplit.Shadowed = 0
	for want, v := range map[string]any{
		written:                 r,
		`[` + written + `]`:     []candle.Range{r},
		`{"a":` + written + `}`: map[string]any{"a": &r},
		counts:                  stats,
		`{"token":{"chain":"base","address":"0x1"},"ranges":[` + written + `]}`: candle.TokenRanges{Token: candle.Token{Chain: candle.Base, Address: "0x1"}, Ranges: []candle.Range{r}},
	} {
		encoded, err := Marshal(v)
		require.NoError(t, err)
		require.JSONEq(t, want, string(encoded))
	}
	encoded, err := Marshal(unsplit)
	require.NoError(t, err)
	require.Contains(t, string(encoded), `"candles_shadowed":null`, "what is not known is not 0")

	encoded, err = Marshal(&backfill.Outcome{Range: r, Stats: stats, AnsweredTo: r.To})
	require.NoError(t, err)
	var o map[string]json.RawMessage
	require.NoError(t, json.Unmarshal(encoded, &o))
	require.JSONEq(t, written, string(o["range"]))
	require.JSONEq(t, counts, string(o["counts"]))
	require.JSONEq(t, `"2025-01-02T00:00:00Z"`, string(o["answered_to"]))
	require.JSONEq(t, `[]`, string(o["files"]))
	var read candle.Range
	require.NoError(t, Unmarshal([]byte(written), &read))
	require.Equal(t, r, read)
	stored, err := json.Marshal(r)
	require.NoError(t, err)
	require.JSONEq(t, `{"from":1735689600,"to":1735776000}`, string(stored), "what is stored keeps its form")
}
