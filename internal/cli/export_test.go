package cli

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"quantbot/internal/candle"
	"quantbot/internal/clickhouse/report"
	"quantbot/internal/export"
	"quantbot/internal/publicjson"
)

// An export of all tokens names none in its manifest: an empty list, which readers of JSON distinguish from a missing one.
func TestTheManifestOfAnExportListsItsTokens(t *testing.T) {
	t.Parallel()
	a := &app{now: time.Now}
	token := candle.Token{Chain: candle.Base, Address: "0x4200000000000000000000000000000000000006"}
	for text, tokens := range map[string][]candle.Token{`[]`: nil, `[{"chain":"base","address":"` + token.Address + `"}]`: {token}} {
		encoded, err := publicjson.Marshal(a.newExportManifest(report.Selection{Interval: candle.Interval1m, Tokens: tokens}, export.Target{Path: "x.csv", Format: export.CSV}))
		require.NoError(t, err)
		var m struct {
			Query map[string]json.RawMessage `json:"query"`
		}
		require.NoError(t, json.Unmarshal(encoded, &m))
		require.Equal(t, text, string(m.Query["tokens"]))
	}
}
