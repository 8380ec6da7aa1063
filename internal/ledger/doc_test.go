package ledger

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"quantbot/internal/backfill"
)

// documented returns the names at the beginnings of the indented lines of the package's comment: keys and fields.
func documented(t *testing.T) (names []string) {
	t.Helper()
	text, err := os.ReadFile("doc.go")
	require.NoError(t, err)
	for _, match := range regexp.MustCompile(`(?m)^//\t(\S+(?: id>}\S+)?) `).FindAllStringSubmatch(string(text), -1) {
		names = append(names, match[1])
	}
	return names
}

func scripts(t *testing.T) map[string]string {
	t.Helper()
	entries, err := scriptFiles.ReadDir("scripts")
	require.NoError(t, err)
	texts := make(map[string]string, len(entries))
	for _, entry := range entries {
		text, err := scriptFiles.ReadFile("scripts/" + entry.Name())
		require.NoError(t, err)
		texts[entry.Name()] = string(text)
	}
	return texts
}

func TestEveryKeyIsDocumented(t *testing.T) {
	t.Parallel()
	runID := uuid.MustParse("01930000-0000-7000-8000-000000000001")
	keys := append(keysOf(runID).all(1), keysOf(runID).waits(), activeKey, workerWaitsKey, actionsKey, sweptKey, deploymentKey,
		processesKey(), inputKey("<hash>"), lockKey(MaintenanceLock), nextKey(lockKey(MaintenanceLock)))
	for _, duty := range []backfill.Duty{backfill.DutyReconcile, backfill.DutyPresence, backfill.DutyAlerts} {
		keys = append(keys, leaseKey(duty))
	}
	names := documented(t)
	for i, key := range keys {
		keys[i] = strings.NewReplacer(runID.String(), "<run id>", ":a1:", ":a<N>:").Replace(key)
		require.Contains(t, names, keys[i])
	}
	for _, name := range names {
		if strings.Contains(name, "quantbot:") {
			require.Contains(t, keys, name, "documented, and no function makes it")
		}
	}
}

// Outside of keys.go no key is spelled out, in this package or elsewhere.
func TestKeysAreNamedInOnePlace(t *testing.T) {
	t.Parallel()
	spelled := regexp.MustCompile(`"\{?quantbot:[a-z{][^ "]*"`)
	for _, dir := range []string{".", "../backfill", "../tasks", "../wiring", "../cli", "../dashboard", "../alert", "../metrics", "../clickhouse"} {
		files, err := os.ReadDir(dir)
		require.NoError(t, err)
		for _, file := range files {
			name := dir + "/" + file.Name()
			if !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") || name == "./keys.go" {
				continue
			}
			text, err := os.ReadFile(name)
			require.NoError(t, err)
			require.Empty(t, spelled.FindAllString(string(text), -1), name)
		}
	}
}

// Each field that a script reads or writes by name is documented, and none else.
func TestEveryFieldIsDocumented(t *testing.T) {
	t.Parallel()
	var fields []string
	literal := regexp.MustCompile(`'([a-z_]+\|?|\|[a-z]+)'`)
	for name, text := range scripts(t) {
		for _, call := range hashCalls(text) {
			for _, match := range literal.FindAllStringSubmatch(call, -1) {
				fields = append(fields, match[1])
			}
		}
		if name == "hand_back.lua" { // it builds the names in a loop
			require.Contains(t, text, "ipairs({'calls', 'credits'})")
			fields = append(fields, "|calls")
		}
	}
	fields = append(fields, "history_behind") // mark.lua's argument
	slices.Sort(fields)
	fields = slices.Compact(fields)
	doc, err := os.ReadFile("doc.go")
	require.NoError(t, err)
	for _, field := range fields {
		require.Regexp(t, `\b`+regexp.QuoteMeta(strings.Trim(field, "|"))+`\b`, string(doc), "a field that doc.go does not name")
	}
	for _, name := range documented(t) {
		name = strings.TrimPrefix(strings.TrimSuffix(name, "<action>"), "<chunk>")
		if strings.Contains(name, ":") || name == "|<class>" {
			continue
		}
		require.Contains(t, fields, name, "documented, and no script knows it")
	}
}

// hashCalls returns the arguments of each command of a script that names fields of a hash.
func hashCalls(lua string) (calls []string) {
	for _, match := range regexp.MustCompile(`(?s)redis\.call\('(?:HGET|HMGET|HSET|HDEL|HINCRBY|HEXISTS)', KEYS\[\d\],(.*?)\)[\n; ]`).FindAllStringSubmatch(lua, -1) {
		calls = append(calls, match[1])
	}
	return calls
}
