package alert

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Slack's own URLs get its own format: text, with what is special to it escaped, and our fields where it wants them.
func TestSlackGetsItsOwnFormat(t *testing.T) {
	t.Parallel()
	w, err := NewWebhook(WebhookConfig{URL: "https://hooks.slack.com/services/T0/B0/x", Now: time.Now})
	require.NoError(t, err)
	event := Event{Kind: KindTest, Text: "a <https://evil|b> & <!channel>"}
	body, err := w.encode(event)
	require.NoError(t, err)
	var got struct {
		Text     string
		Metadata struct {
			EventType    string `json:"event_type"`
			EventPayload Event  `json:"event_payload"`
		}
	}
	require.NoError(t, json.Unmarshal(body, &got))
	require.Equal(t, "a &lt;https://evil|b&gt; &amp; &lt;!channel&gt;", got.Text)
	require.Equal(t, "quantbot_test", got.Metadata.EventType)
	require.Equal(t, event, got.Metadata.EventPayload)
	var fields map[string]any
	require.NoError(t, json.Unmarshal(body, &fields))
	require.Len(t, fields, 2, "it refuses or drops what it does not know")
}
