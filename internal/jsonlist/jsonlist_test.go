package jsonlist

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
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
	encoded, err := json.Marshal(Of(given))
	require.NoError(t, err)
	const empty, zero = `{"names":[],"bytes":null}`, `"id":"00000000-0000-0000-0000-000000000000","at":"0001-01-01T00:00:00Z","ended":null`
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
		encoded, err := json.Marshal(Of(v))
		require.NoError(t, err)
		require.JSONEq(t, want, string(encoded))
	}
}
