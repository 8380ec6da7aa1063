package cli

import (
	"bufio"
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"quantbot/internal/candle"
	"quantbot/internal/simmarket"
)

// What testdata/state-0020 holds: the tables and keys that programs with migrations up to 0020 left behind. One run is
// completed, one is rolled back, and one is pending: its worker was killed with two of six chunks stored and two leased.
// The keys that expire within seconds are left out, and the others are stored for good.
const (
	stateBefore     = "testdata/state-0020"
	runOfBefore     = "01a227ab-ea61-75e3-8000-22788691fdaf"
	rolledBackRun   = "01a227ab-df92-7a9d-89da-2a13e52c3321"
	candlesOfBefore = 108 + 52 // of the two runs that had ended
)

// A database and a Redis of the state before go on: the pending run ends exact, nothing that was paid is bought again,
// and a run that was rolled back can be restored.
func TestTheStateBeforeGoesOn(t *testing.T) {
	t.Parallel()
	h := setupEmpty(t, simmarket.Options{})
	h.restoreClickHouse(t, stateBefore)
	h.restoreRedis(t, stateBefore)
	tokens := simmarket.Tokens(9)
	pending := tokens[3:9]
	hour := candle.Range{From: 1740787200, To: 1740790800}
	market := simmarket.NewMarket(1)

	h.worker(t)
	var run map[string]any
	require.Eventually(t, func() bool {
		details := h.run(t, "ohlcv", "runs-details", runOfBefore, "--format", "json")
		if details.code != 0 {
			return false // the worker has not migrated yet
		}
		run = row(t, details.stdout)
		return run["status"] != "running"
	}, 2*time.Minute, 200*time.Millisecond)
	want := truth(market, pending, hour)
	require.Equal(t, "completed", run["status"])
	require.EqualValues(t, want, run["candles_fetched"])
	require.EqualValues(t, want, run["candles_inserted"])
	require.EqualValues(t, 4, h.market.Stats().Requests, "the stored chunks are not fetched again")

	served := truth(market, append(tokens[:2:2], pending...), hour)
	require.Equal(t, served, h.number(t, "SELECT count() FROM "+h.table("ohlcv_candles")))
	h.ok(t, "ohlcv", "runs-restore", rolledBackRun)
	require.Equal(t, want+candlesOfBefore, h.number(t, "SELECT count() FROM "+h.table("ohlcv_candles")))

	args := []string{"ingestion", "ohlcv", "--from", "2025-03-01T00:00", "--to", "2025-03-01T01:00", "--dry-run", "--format", "json"}
	for _, token := range append(tokens[:2:2], pending...) {
		args = append(args, "--token", token.Address)
	}
	require.EqualValues(t, 0, row(t, h.ok(t, args...).stdout)["api_calls"], "what was paid counts for the default request")
}

// restoreClickHouse creates the tables and views of the state and fills them.
func (h *harness) restoreClickHouse(t *testing.T, dir string) {
	t.Helper()
	schema, err := os.ReadFile(filepath.Join(dir, "schema.sql"))
	require.NoError(t, err)
	for statement := range strings.SplitSeq(strings.TrimSpace(string(schema)), ";\n\n") {
		h.env.ClickHouse(t, strings.ReplaceAll(statement, "{database}", h.env.Database))
	}
	rows := map[string]*bytes.Buffer{}
	eachLine(t, filepath.Join(dir, "rows.jsonl"), func(line []byte) {
		var r struct {
			Table string          `json:"table"`
			Row   json.RawMessage `json:"row"`
		}
		require.NoError(t, json.Unmarshal(line, &r))
		if rows[r.Table] == nil {
			rows[r.Table] = &bytes.Buffer{}
		}
		rows[r.Table].Write(append(r.Row, '\n'))
	})
	for table, lines := range rows {
		h.env.ClickHouse(t, "INSERT INTO "+h.table(table)+" FORMAT JSONEachRow\n"+lines.String())
	}
}

// restoreRedis sends the commands that fill the keys of the state.
func (h *harness) restoreRedis(t *testing.T, dir string) {
	t.Helper()
	options, err := redis.ParseURL(h.env.RedisURL)
	require.NoError(t, err)
	client := redis.NewClient(options)
	defer client.Close()
	eachLine(t, filepath.Join(dir, "redis.jsonl"), func(line []byte) {
		var words []redisWord
		require.NoError(t, json.Unmarshal(line, &words))
		command := make([]any, len(words))
		for i, word := range words {
			command[i] = []byte(word)
		}
		require.NoError(t, client.Do(t.Context(), command...).Err())
	})
}

// redisWord is a word of a command: a string, or {"base64": …} where it is no text.
type redisWord []byte

func (w *redisWord) UnmarshalJSON(encoded []byte) error {
	if encoded[0] == '"' {
		var text string
		err := json.Unmarshal(encoded, &text)
		*w = []byte(text)
		return err
	}
	var binary struct {
		Base64 []byte `json:"base64"`
	}
	err := json.Unmarshal(encoded, &binary)
	*w = binary.Base64
	return err
}

func eachLine(t *testing.T, path string, do func([]byte)) {
	t.Helper()
	file, err := os.Open(path)
	require.NoError(t, err)
	defer file.Close()
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		do(lines.Bytes())
	}
	require.NoError(t, lines.Err())
}
