package worklist

import (
	"context"
	"database/sql"
	"encoding/csv"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"quantbot/internal/candle"
)

const (
	mintA = "5LKHMd2rMSRaG9y4iHwSLRtrJ3dCrJ2CytvBeak8pump"
	mintB = "So11111111111111111111111111111111111111112"
	evm   = "0xabcdef0123456789abcdef0123456789abcdef01"
)

// TestMain lets the test binary be another process that has a file open for writing.
func TestMain(m *testing.M) {
	if path := os.Getenv("TEST_HOLD_FILE"); path != "" {
		db, err := sql.Open("duckdb", path)
		if err == nil {
			_, err = db.Exec("CREATE TABLE IF NOT EXISTS held (a INTEGER)")
		}
		if err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		fmt.Println("held")
		select {}
	}
	os.Exit(m.Run())
}

// database makes a DuckDB file by the statements.
func database(t testing.TB, statements ...string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "calls.duckdb")
	db, err := sql.Open("duckdb", path)
	require.NoError(t, err)
	for _, s := range statements {
		_, err := db.Exec(s)
		require.NoError(t, err, s)
	}
	require.NoError(t, db.Close())
	return path
}

var all = candle.Range{From: 0, To: 4_000_000_000}

// day is when the calls of the tests were: 2 January 2025, in Unix milliseconds.
const day = 1_735_776_000_000

func TestTablesAreTakenInOrder(t *testing.T) {
	t.Parallel()
	links := "CREATE TABLE caller_links_d (mint VARCHAR, chain VARCHAR, trigger_ts_ms BIGINT, side VARCHAR)"
	users := "CREATE TABLE user_calls_d (mint VARCHAR, call_ts_ms BIGINT)"
	alerts := "CREATE SCHEMA canon; CREATE TABLE canon.alerts_std (mint VARCHAR, chain VARCHAR, alert_ts_ms BIGINT)"
	fill := fmt.Sprintf("INSERT INTO user_calls_d VALUES ('%s', %d)", mintB, day)
	for name, test := range map[string]struct {
		statements []string
		origin     string
		others     string
		calls      int
	}{
		"all three": {[]string{links, users, alerts, fill}, "caller_links_d", "user_calls_d (rows: 1), canon.alerts_std (rows: 0)", 0},
		"two":       {[]string{users, alerts, fill}, "user_calls_d", "canon.alerts_std (rows: 0)", 1},
		"one":       {[]string{alerts}, "canon.alerts_std", "", 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			list, err := ReadCalls(t.Context(), CallsOptions{Path: database(t, test.statements...), Range: all, Side: "buy"})
			require.NoError(t, err)
			require.Equal(t, test.origin, list.Origin)
			require.Equal(t, test.others, list.Others)
			require.Len(t, list.Calls, test.calls)
		})
	}
}

func TestASideIsChosenInEveryTableThatHasSides(t *testing.T) {
	t.Parallel()
	for name, create := range map[string]string{
		"caller_links_d":   "CREATE TABLE caller_links_d (mint VARCHAR, chain VARCHAR, trigger_ts_ms BIGINT, side VARCHAR)",
		"user_calls_d":     "CREATE TABLE user_calls_d (mint VARCHAR, chain VARCHAR, call_ts_ms BIGINT, Side VARCHAR)",
		"canon.alerts_std": "CREATE SCHEMA canon; CREATE TABLE canon.alerts_std (mint VARCHAR, chain VARCHAR, alert_ts_ms BIGINT, side VARCHAR)",
	} {
		path := database(t, create, fmt.Sprintf("INSERT INTO %s VALUES ('%[2]s', 'solana', %[4]d, 'buy'), ('%[3]s', 'solana', %[4]d, 'SELL')", name, mintA, mintB, day))
		for side, want := range map[string][]string{SideBuy: {mintA}, SideSell: {mintB}, "": {mintB, mintA}} {
			list, err := ReadCalls(t.Context(), CallsOptions{Path: path, Range: all, Side: side})
			require.NoError(t, err)
			var got []string
			for _, token := range list.Tokens {
				got = append(got, token.Address)
			}
			require.ElementsMatch(t, want, got, name+side)
		}
	}
	unsided := database(t, "CREATE TABLE user_calls_d (mint VARCHAR, call_ts_ms BIGINT)", fmt.Sprintf("INSERT INTO user_calls_d VALUES ('%s', %d)", mintA, day))
	list, err := ReadCalls(t.Context(), CallsOptions{Path: unsided, Range: all, Side: SideBuy})
	require.NoError(t, err)
	require.Len(t, list.Calls, 1, "calls without a side are buys")
	_, err = ReadCalls(t.Context(), CallsOptions{Path: unsided, Range: all, Side: SideSell})
	require.ErrorIs(t, err, ErrInput)
	require.ErrorContains(t, err, "has no column side, so --side sell cannot choose in it")
}

func TestRowsThatCannotBeUsedAreSkippedAndListed(t *testing.T) {
	t.Parallel()
	path := database(t, "CREATE TABLE caller_links_d (mint VARCHAR, chain VARCHAR, trigger_ts_ms BIGINT, side VARCHAR)",
		fmt.Sprintf(`INSERT INTO caller_links_d VALUES
			(' %[1]s ', 'SOL', %[5]d, 'buy'), ('%[1]s', 'solana', %[5]d, NULL), ('%[1]s', 'solana', %[4]d, 'BUY'), ('%[2]s', 'solana', %[6]d, 'sell'),
			('%[2]s', '', %[6]d, 'buy'), ('%[2]s', NULL, %[6]d, 'buy'), ('%[2]s', 'tron', %[6]d, 'buy'), ('%[3]s', 'solana', %[6]d, 'buy'),
			(NULL, 'solana', %[6]d, 'buy'), ('  ', 'solana', %[6]d, 'buy'), ('%[2]s', 'solana', NULL, 'buy'), ('%[3]s', 'bnb', %[6]d, 'buy'),
			('%[2]s', 'solana', %[7]d, 'buy')`, mintA, mintB, evm, day+1_000, day+2_000, day+3_000, day+9_000_000_000))
	list, err := ReadCalls(t.Context(), CallsOptions{Path: path, Range: candle.Range{From: 0, To: day/1_000 + 100_000}, Side: "buy"})
	require.NoError(t, err)
	token := func(chain candle.Chain, address string) candle.Token {
		return candle.Token{Chain: chain, Address: address}
	}
	require.Equal(t, []Call{{token(candle.BSC, evm), day + 3_000}, {token(candle.Solana, mintA), day + 1_000}, {token(candle.Solana, mintA), day + 2_000}}, list.Calls)
	require.Equal(t, 7, list.SkippedTotal)
	reasons := map[string]int{}
	for _, s := range list.Skipped {
		require.NotEmpty(t, s.Where)
		reasons[s.Reason]++
	}
	require.Equal(t, 2, reasons["mint missing"])
	require.Equal(t, 2, reasons[`unknown chain ""`])
	require.Equal(t, 1, reasons[`unknown chain "tron"`])
}

func TestEVMNeedsItsChain(t *testing.T) {
	t.Parallel()
	path := database(t, "CREATE SCHEMA canon", "CREATE TABLE canon.alerts_std (mint VARCHAR, chain VARCHAR, alert_ts_ms BIGINT)",
		fmt.Sprintf("INSERT INTO canon.alerts_std VALUES ('%s', 'evm', %d)", evm, day))
	list, err := ReadCalls(t.Context(), CallsOptions{Path: path, Range: all})
	require.NoError(t, err)
	require.Empty(t, list.Calls)
	require.Contains(t, list.Skipped[0].Reason, "--evm-chain")
	list, err = ReadCalls(t.Context(), CallsOptions{Path: path, Range: all, EVMChain: candle.Base})
	require.NoError(t, err)
	require.Equal(t, candle.Base, list.Calls[0].Token.Chain)
}

func TestQueriesOfAnyNumberType(t *testing.T) {
	t.Parallel()
	path := database(t, "CREATE TABLE t (m VARCHAR)", fmt.Sprintf("INSERT INTO t VALUES ('%s')", mintA))
	for _, value := range []string{"1700000000000::BIGINT", "1700000000000::HUGEINT", "1700000000000::DOUBLE", "1700000000000::UBIGINT", "epoch_ms(1700000000000::BIGINT)",
		"1700000000000::UHUGEINT", "1700000000000.4::DECIMAL(18, 1)", "1700000000000::DECIMAL(38, 0)", "TIMESTAMP_S '2023-11-14 22:13:20'", "TIMESTAMP_NS '2023-11-14 22:13:20'",
		"TIMESTAMPTZ '2023-11-14 22:13:20+00'"} {
		list, err := ReadCalls(t.Context(), CallsOptions{Path: path, Range: all, Query: "SELECT m AS mint, 'solana' AS chain, " + value + " AS ts_ms FROM t"})
		require.NoError(t, err, value)
		require.Len(t, list.Calls, 1, value)
		require.EqualValues(t, 1_700_000_000_000, list.Calls[0].AtMS, value)
	}
}

func TestUnusableInputGetsOneClearSentence(t *testing.T) {
	t.Parallel()
	garbage := filepath.Join(t.TempDir(), "garbage")
	require.NoError(t, os.WriteFile(garbage, []byte(strings.Repeat("x", 20_000)), 0o600))
	secret := filepath.Join(t.TempDir(), "secret.csv")
	require.NoError(t, os.WriteFile(secret, []byte("mint,chain,ts_ms\n"+mintA+",solana,1000\n"), 0o600))
	other := database(t, "CREATE TABLE other (a INTEGER)")
	for name, test := range map[string]struct {
		options CallsOptions
		want    string
	}{
		"missing":         {CallsOptions{Path: "/no/such/file"}, "there is no file /no/such/file"},
		"directory":       {CallsOptions{Path: t.TempDir()}, "is a directory"},
		"garbage":         {CallsOptions{Path: garbage}, "is no DuckDB file"},
		"other tables":    {CallsOptions{Path: other}, "(it has other)"},
		"no tables":       {CallsOptions{Path: database(t)}, "(it has no tables)"},
		"column missing":  {CallsOptions{Path: other, Query: "SELECT 1 AS mint, 2 AS chain"}, "it gives mint, chain"},
		"broken query":    {CallsOptions{Path: other, Query: "SELEKT"}, "--calls-query"},
		"another file":    {CallsOptions{Path: other, Query: "SELECT * FROM read_csv('" + secret + "')"}, "--calls-query"},
		"writes":          {CallsOptions{Path: other, Query: "DROP TABLE other"}, "--calls-query"},
		"wrong text type": {CallsOptions{Path: other, Query: "SELECT 'x' AS mint, 'solana' AS chain, 1 AS ts_ms FROM nowhere"}, "nowhere"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test.options.Range = all
			_, err := ReadCalls(t.Context(), test.options)
			require.ErrorIs(t, err, ErrInput)
			require.ErrorContains(t, err, test.want)
			require.NotContains(t, err.Error(), "\n")
		})
	}
}

func TestFileOpenInAnotherProcess(t *testing.T) {
	t.Parallel()
	path := database(t)
	holder := exec.Command(os.Args[0])
	holder.Env = append(os.Environ(), "TEST_HOLD_FILE="+path)
	out, err := holder.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, holder.Start())
	t.Cleanup(func() {
		_ = holder.Process.Kill()
		_ = holder.Wait()
	})
	word := make([]byte, 4)
	_, err = out.Read(word)
	require.NoError(t, err)
	require.Equal(t, "held", string(word))
	_, err = ReadCalls(t.Context(), CallsOptions{Path: path, Range: all})
	require.ErrorIs(t, err, ErrInput)
	require.ErrorContains(t, err, "open for writing in another process")
}

func TestRecordedCalls(t *testing.T) {
	t.Parallel()
	file, err := os.Open("../../../shared/data/calls.csv")
	if errors.Is(err, os.ErrNotExist) {
		t.Skip("the recorded market data is not on this machine")
	}
	require.NoError(t, err)
	defer file.Close()
	rows, err := csv.NewReader(file).ReadAll()
	require.NoError(t, err)
	statements := []string{"CREATE TABLE user_calls_d (mint VARCHAR, call_ts_ms BIGINT)"}
	for _, row := range rows[1:] {
		statements = append(statements, fmt.Sprintf("INSERT INTO user_calls_d VALUES ('%s', %s)", row[0], row[2]))
	}
	list, err := ReadCalls(t.Context(), CallsOptions{Path: database(t, statements...), Range: all})
	require.NoError(t, err)
	require.Len(t, list.Calls, 312)
	require.Zero(t, list.SkippedTotal)
}

func TestReadTokens(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		text    string
		tokens  int
		skipped []string
	}{
		"plain":      {mintA + "\n" + mintB + "\n" + mintA, 2, nil},
		"dressed up": {"\ufeff# tokens\r\n\r\n " + mintA + " \r\nbase:" + evm + "\r\n", 2, nil},
		"CSV":        {"name,Mint,chain\nx," + mintA + ",sol\ny," + evm + ",bsc\nz," + mintB + ",tron\n", 2, []string{"line 4"}},
		"one column": {"token\n" + mintA + "\n", 1, nil},
		"malformed":  {mintA + "\nrubbish\n\n" + evm + "\n", 1, []string{"line 2", "line 4"}},
		"empty":      {"", 0, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			list, err := ReadTokens(t.Context(), strings.NewReader(test.text), "list", candle.Solana)
			require.NoError(t, err)
			require.Len(t, list.Tokens, test.tokens)
			var where []string
			for _, s := range list.Skipped {
				where = append(where, s.Where)
			}
			require.Equal(t, test.skipped, where)
		})
	}
	_, err := ReadTokens(t.Context(), strings.NewReader(strings.Repeat("x", maxLine+1)), "list", candle.Solana)
	require.ErrorIs(t, err, ErrInput)
}

func FuzzReadTokens(f *testing.F) {
	f.Add("mint,chain\n" + mintA + ",solana\n")
	f.Add("base:" + evm + "\n#\n")
	f.Add("no token\n" + mintA + "\n") // skipped, not taken
	f.Fuzz(func(t *testing.T, text string) {
		list, err := ReadTokens(t.Context(), strings.NewReader(text), "list", candle.Solana)
		if err != nil {
			require.ErrorIs(t, err, ErrInput)
			return
		}
		for _, token := range list.Tokens {
			if _, err := candle.NewToken(token.Chain, token.Address); err != nil {
				t.Fatal(err)
			}
		}
	})
}

func TestCallWindowsCoverEachCall(t *testing.T) {
	t.Parallel()
	tokens := []candle.Token{{Chain: candle.Solana, Address: mintA}, {Chain: candle.Solana, Address: mintB}}
	rapid.Check(t, func(t *rapid.T) {
		var list List
		for _, token := range tokens {
			for _, at := range rapid.SliceOfN(rapid.Int64Range(0, 1_000), 0, 6).Draw(t, "minutes") {
				list.Calls = append(list.Calls, Call{Token: token, AtMS: at * 60_000})
			}
		}
		list.sort()
		windows := CallWindows(list.Calls, 10*time.Minute, 20*time.Minute)
		covered := func(token candle.Token, s int64) bool {
			for _, w := range windows {
				for _, r := range w.Ranges {
					if w.Token == token && r.Contains(s) {
						return true
					}
				}
			}
			return false
		}
		for _, call := range list.Calls {
			at := call.AtMS / 1_000
			require.True(t, covered(call.Token, max(at-600, 0)))
			require.True(t, covered(call.Token, at+1_199))
		}
		for i, w := range windows {
			require.True(t, i == 0 || windows[i-1].Token.Compare(w.Token) < 0)
			for j, r := range w.Ranges {
				require.True(t, j == 0 || w.Ranges[j-1].To < r.From)
			}
		}
	})
}

func TestWriteSampleKeepsWhatIsThere(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "sample.duckdb")
	calls := []Call{{candle.Token{Chain: candle.Solana, Address: mintA}, day}}
	require.NoError(t, WriteSample(t.Context(), path, calls))
	list, err := ReadCalls(t.Context(), CallsOptions{Path: path, Range: all, Side: "buy"})
	require.NoError(t, err)
	require.Equal(t, calls, list.Calls)
	require.ErrorIs(t, WriteSample(t.Context(), path, nil), ErrInput)
}

func BenchmarkReadMillionCalls(b *testing.B) {
	path := database(b, "CREATE TABLE user_calls_d AS SELECT '"+mintA+"' AS mint, 1735776000000 + range AS call_ts_ms FROM range(1000000)")
	for b.Loop() {
		list, err := ReadCalls(context.Background(), CallsOptions{Path: path, Range: all})
		if err != nil || len(list.Calls) != 1_000_000 {
			b.Fatal(len(list.Calls), err)
		}
	}
}
