package manifest

import (
	"bytes"
	"context"
	"log/slog"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
)

var testRunID = uuid.MustParse("0192f0c1-1111-7111-8111-111111111111")

func TestContextGivesTheManifestBack(t *testing.T) {
	t.Parallel()
	_, ok := FromContext(context.Background())
	require.False(t, ok)

	m := Manifest{RunID: testRunID, Source: "birdeye"}
	got, ok := FromContext(NewContext(context.Background(), m))
	require.True(t, ok)
	require.Equal(t, m, got)
}

func TestLogHandlerNamesRunAttemptAndChunk(t *testing.T) {
	t.Parallel()
	run := NewContext(context.Background(), Manifest{RunID: testRunID})
	chunk := WithChunk(WithAttempt(run, 2), "c1")
	const id = "run_id=0192f0c1-1111-7111-8111-111111111111"
	for name, c := range map[string]struct {
		log  func(*slog.Logger)
		want string
	}{
		"outside of a run":      {func(l *slog.Logger) { l.InfoContext(context.Background(), "m") }, "msg=m"},
		"in a run":              {func(l *slog.Logger) { l.InfoContext(run, "m", "rows", 1) }, "msg=m rows=1 " + id},
		"in a chunk":            {func(l *slog.Logger) { l.InfoContext(chunk, "m") }, "msg=m " + id + " attempt=2 chunk_id=c1"},
		"named by the caller":   {func(l *slog.Logger) { l.InfoContext(chunk, "m", "run_id", "mine") }, "msg=m run_id=mine attempt=2 chunk_id=c1"},
		"with attributes":       {func(l *slog.Logger) { l.With("worker", "w").InfoContext(run, "m") }, "msg=m worker=w " + id},
		"under an open group":   {func(l *slog.Logger) { l.WithGroup("g").InfoContext(run, "m") }, "msg=m g." + id},
		"below the log's level": {func(l *slog.Logger) { l.DebugContext(run, "m") }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var out bytes.Buffer
			dropTime := func(groups []string, a slog.Attr) slog.Attr {
				if len(groups) == 0 && (a.Key == slog.TimeKey || a.Key == slog.LevelKey) {
					return slog.Attr{}
				}
				return a
			}
			c.log(slog.New(LogHandler(slog.NewTextHandler(&out, &slog.HandlerOptions{ReplaceAttr: dropTime}))))
			require.Equal(t, c.want, string(bytes.TrimSpace(out.Bytes())))
		})
	}
}
