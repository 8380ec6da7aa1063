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

func TestLogHandlerNamesTheRun(t *testing.T) {
	t.Parallel()
	run := WithRun(context.Background(), testRunID)
	const id = "run_id=0192f0c1-1111-7111-8111-111111111111"
	for name, c := range map[string]struct {
		log  func(*slog.Logger)
		want string
	}{
		"outside of a run":      {func(l *slog.Logger) { l.InfoContext(context.Background(), "m") }, "msg=m"},
		"in a run":              {func(l *slog.Logger) { l.InfoContext(run, "m", "rows", 1) }, "msg=m rows=1 " + id},
		"named by the caller":   {func(l *slog.Logger) { l.InfoContext(run, "m", "run_id", "mine") }, "msg=m run_id=mine"},
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
