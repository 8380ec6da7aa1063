package worklist

import (
	"bytes"
	"context"
	"encoding/csv"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/unicode"

	"quantbot/internal/candle"
)

// found is what a list gave: its tokens, and the line and reason of each skipped row.
func found(t *testing.T, text string, chain candle.Chain) (tokens, skipped []string, err error) {
	t.Helper()
	list, err := ReadTokens(t.Context(), strings.NewReader(text), "list", chain)
	for _, token := range list.Tokens {
		tokens = append(tokens, token.String())
	}
	for _, s := range list.Skipped {
		skipped = append(skipped, s.Where+": "+s.Reason)
	}
	return tokens, skipped, err
}

func TestTablesGiveTheColumnThatTheyName(t *testing.T) {
	t.Parallel()
	const a, b, base = "solana:" + mintA, "solana:" + mintB, "base:" + evm
	for name, test := range map[string]struct {
		text    string
		tokens  []string
		skipped []string
	}{
		"quoted comma":          {"name,address,chain\n\"fork of, " + mintA + "\"," + mintB + ",solana\n", []string{b}, nil},
		"quoted quote":          {"name,address\n\"She said \"\"hi, frens\"\"\"," + mintA + "\n", []string{a}, nil},
		"quoted line break":     {"name,address\n\"two\nlines, \r\nor more\"," + mintA + "\nx,y\n", []string{a}, []string{"line 5: address \"y\" is no Solana mint: 1 characters instead of 32 to 44"}},
		"semicolon":             {"name;address;chain\n\"Dog;\";" + mintA + ";solana\nx, y;" + evm + ";base\n", []string{base, a}, nil},
		"tab":                   {"name\taddress\n\t" + mintA + "\nquo \"ted\t" + mintB + "\n", []string{a}, []string{"line 3: quotes are not as in CSV"}},
		"bar":                   {"address | chain\n" + evm + " | Base \n", []string{base}, nil},
		"Excel's first line":    {"sep=;\nx,address;address\n" + mintA + ";" + mintB + "\n", []string{b}, nil},
		"address before token":  {"token,address\nWIF," + mintA + "\n", []string{a}, nil},
		"address, then token":   {"address,token\n" + mintA + ",WIF\n", []string{a}, nil},
		"mint before address":   {"address,mint\n" + mintB + "," + mintA + "\n", []string{a}, nil},
		"token_address first":   {"mint,address,symbol,Token Address,token\n" + mintB + "," + mintB + ",WIF," + mintA + ",WIF\n", []string{a}, nil},
		"headers people have":   {"Contract Address,Name\n" + mintA + ",x\n", []string{a}, nil},
		"ca":                    {"name,CA\nx," + mintA + "\n", []string{a}, nil},
		"contract":              {"contract;name\n" + mintA + ";x\n", []string{a}, nil},
		"camel case":            {"mintAddress,symbol\n" + mintA + ",WIF\n", []string{a}, nil},
		"a pool is no token":    {"pair,name\n" + mintA + ",x\n", nil, []string{"line 2: a pair is a market of an exchange, and solana is none: name its tokens in a column token_address"}},
		"token, not its pool":   {"pair,mint_address\n" + mintB + "," + mintA + "\n", []string{a}, nil},
		"chain before network":  {"network,chain,mint\nethereum,base," + evm + "\n", []string{base}, nil},
		"network":               {"NETWORK,Mint\nbase," + evm + "\n", []string{base}, nil},
		"old line ends":         {"name,address\rx," + mintA + "\ry," + mintB + "\r", []string{a, b}, nil},
		"a row like a comment":  {"name,address\n#1 dog," + mintA + "\n# a comment\n", []string{a}, nil},
		"a comment with quotes": {"# x,\"y\nname,address\n# said \"so\"\nz," + mintA + "\n", []string{a}, nil},
		"too many cells":        {"address,name\n" + mintA + ",Dog, the hat\n" + mintB + ",x,,\n", []string{b}, []string{"line 2: has 3 cells, the header has 2"}},
		"no address":            {"name,address\nx\n,\n", nil, []string{"line 2: address missing", "line 3: address missing"}},
		"two chains":            {"chain,address\nsolana,base:" + evm + "\nbase,BASE:" + evm + "\n", []string{base}, []string{"line 2: the address names the chain base, the row solana"}},
		"an index column":       {",address\n0," + mintA + "\n", []string{a}, nil},
		"twice":                 {"mint\n" + mintA + "\n " + mintA + "\nsol:" + mintA + "\n", []string{a}, nil},
		"plain, empty cells":    {"\t" + mintA + ",,\nBASE:0x" + strings.ToUpper(evm[2:]) + "\n", []string{base, a}, nil},
		"plain, more cells":     {mintA + "\n" + mintB + ",solana\n", []string{a}, []string{"line 2: has 2 cells, and no header says what they are"}},
		"joined files":          {"\ufeff" + mintA + "\n\ufeff" + mintB + "\n", []string{a, b}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tokens, skipped, err := found(t, test.text, candle.Solana)
			require.NoError(t, err)
			require.Equal(t, test.tokens, tokens)
			require.Equal(t, test.skipped, skipped)
		})
	}
}

func TestSymbolsComeFromTheirColumn(t *testing.T) {
	t.Parallel()
	for text, want := range map[string][]string{
		"symbol,name\nBTCUSDT,\"Bitcoin, spot\"\n币安人生USDT,x\n": {"binance-spot:BTCUSDT", "binance-spot:币安人生USDT"},
		"token\nbtcusdt\n":    {"binance-spot:BTCUSDT"},
		"BTCUSDT\nETHUSDT\n":  {"binance-spot:BTCUSDT", "binance-spot:ETHUSDT"},
		"Pair,x\nBTCUSDT,1\n": {"binance-spot:BTCUSDT"},
	} {
		tokens, skipped, err := found(t, text, candle.BinanceSpot)
		require.NoError(t, err)
		require.Empty(t, skipped)
		require.Equal(t, want, tokens)
	}
}

func TestFilesThatAreNoListAreRefusedInOneSentence(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ text, want string }{
		"unknown header":      {"ticker,name\nBTCUSDT,x\n", "list has no column " + TokenColumns() + "; it has: ticker, name. Give it a header with one of them, or one token a line"},
		"unknown word":        {"Ticker\nBTCUSDT\n", "; it has: Ticker. Give"},
		"no header":           {"BTCUSDT;Bitcoin\n", "; it has: BTCUSDT, Bitcoin. Give"},
		"a column twice":      {"address,name,address\n", "list has two columns address"},
		"twice, but spelt":    {"Token Address,name,tokenAddress\n", "list has two columns token_address"},
		"a chain twice":       {"address,chain,chain\n", "list has two columns chain"},
		"quote left open":     {"name,address\nx,BTCUSDT\n\"y,ETHUSDT\nz,SOLUSDT\n", `list has a quote on line 3 that is not closed as in CSV: "\"y,ETHUSDT"`},
		"quote closed inside": {"name,address\n\"x,BTCUSDT\n\"y\",ETHUSDT\n", "list has a quote on line 2 that is not closed"},
		"too many lines":      {"name,address\n\"" + strings.Repeat("\n", 200) + "\",BTCUSDT\n", "list has a quote on line 2 that is not closed"},
		"a long line":         {"BTCUSDT\n\n" + strings.Repeat("x", 10*maxLine), "list has a line above 65536 bytes (line 3)"},
		"a long row":          {"name,address\n\"" + strings.Repeat(strings.Repeat("x", maxLine/2)+"\n", 3) + "\",BTCUSDT\n", "list has a quote on line 2 that is not closed"},
		"binary":              {"BTC\x00\x01\x02", "list is no text"},
		"DuckDB":              {"\x01\x02\x03\x04\x05\x06\x07\x08DUCK\x40\x00", "list is a DuckDB file: give it with --duckdb"},
		"gzip":                {"\x1f\x8b\x08\x00", "list is compressed with gzip"},
		"Excel":               {"PK\x03\x04\x14", "list is a zip archive or an Excel file"},
		"UTF-32":              {"\xff\xfe\x00\x00B\x00\x00\x00", "list is UTF-32"},
	} {
		tokens, _, err := found(t, test.text, candle.BinanceSpot)
		require.ErrorIs(t, err, ErrInput, name)
		require.ErrorContains(t, err, test.want, name)
		require.NotContains(t, err.Error(), "\n")
		require.Empty(t, tokens)
	}
	for _, word := range otherHeaders {
		_, _, err := found(t, word+"\nBTCUSDT\n", candle.BinanceSpot)
		require.ErrorIs(t, err, ErrInput, word)
	}
	_, err := ReadTokenFile(t.Context(), filepath.Join(t.TempDir(), "none"), candle.Solana)
	require.ErrorIs(t, err, ErrInput)
	_, err = ReadTokenFile(t.Context(), t.TempDir(), candle.Solana)
	require.ErrorContains(t, err, "is a directory")
}

func TestRecordedFaultsOfLists(t *testing.T) {
	t.Parallel()
	const faults = "../../../shared/data/faults"
	if _, err := os.Stat(faults); err != nil {
		t.Skip("the recorded faults are not on this machine")
	}
	for name, test := range map[string]struct {
		chain candle.Chain
		want  int
	}{"quoted_comma.csv": {candle.Solana, 3}, "semicolon.csv": {candle.Solana, 2}, "symbols_header.csv": {candle.BinanceSpot, 2}} {
		list, err := ReadTokenFile(t.Context(), filepath.Join(faults, name), test.chain)
		require.NoError(t, err)
		require.Zero(t, list.SkippedTotal, name)
		require.Len(t, list.Tokens, test.want, name)
	}
}

// encodings are those that a list may come in.
var encodings = []encoding.Encoding{
	encoding.Nop, unicode.UTF8BOM,
	unicode.UTF16(unicode.LittleEndian, unicode.ExpectBOM), unicode.UTF16(unicode.BigEndian, unicode.ExpectBOM),
	unicode.UTF16(unicode.LittleEndian, unicode.IgnoreBOM), unicode.UTF16(unicode.BigEndian, unicode.IgnoreBOM),
}

// What stands in other columns never decides what is fetched, in whatever form the file is written.
func FuzzCSV(f *testing.F) {
	f.Add("Dogwifhat, the hat", "x", uint8(0), uint8(0), false)
	f.Add("fork of, "+mintB+"\n"+mintB+",solana", "\"", uint8(1), uint8(2), true)
	f.Add("#1; the\r\n\tfirst|", "币安", uint8(2), uint8(3), true)
	f.Add("\ufeff\u00a0 ", "sep=;", uint8(3), uint8(5), false)
	f.Fuzz(func(t *testing.T, first, second string, separator, encoded uint8, last bool) {
		var text bytes.Buffer
		rows := csv.NewWriter(&text)
		rows.Comma = []rune{',', ';', '\t', '|'}[separator%4]
		order := func(name, address, chain string) []string {
			if last {
				return []string{name, chain, address}
			}
			return []string{address, name, chain}
		}
		for _, row := range [][]string{order("name", "address", "chain"), order(first, mintA, "solana"), order(second, evm, "base")} {
			require.NoError(t, rows.Write(row))
		}
		rows.Flush()
		body, err := encodings[int(encoded)%len(encodings)].NewEncoder().Bytes(text.Bytes())
		require.NoError(t, err)
		list, err := ReadTokens(t.Context(), bytes.NewReader(body), "list", candle.BSC)
		if err != nil {
			require.ErrorIs(t, err, ErrInput)
			return
		}
		require.Equal(t, []candle.Token{{Chain: candle.Base, Address: evm}, {Chain: candle.Solana, Address: mintA}}, list.Tokens, "skipped: %v", list.Skipped)
	})
}

// endless never ends, and says when it has been read from.
type endless struct{ read chan struct{} }

func (e endless) Read(p []byte) (int, error) {
	select {
	case e.read <- struct{}{}:
	default:
	}
	return copy(p, mintA+"\n"), nil
}

func TestReadingThatNeverEndsHeedsItsContext(t *testing.T) {
	t.Parallel()
	canceled := func(read func(ctx context.Context) error, begun <-chan struct{}) {
		t.Helper()
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		done := make(chan error, 1)
		go func() { done <- read(ctx) }()
		<-begun
		cancel()
		require.ErrorIs(t, <-done, context.Canceled)
	}
	at := make(chan struct{})
	close(at)
	pipe := filepath.Join(t.TempDir(), "pipe")
	require.NoError(t, syscall.Mkfifo(pipe, 0o600))
	canceled(func(ctx context.Context) error {
		_, err := ReadTokenFile(ctx, pipe, candle.Solana)
		return err
	}, at)
	silent, writer := io.Pipe()
	defer writer.Close()
	canceled(func(ctx context.Context) error {
		_, err := ReadTokens(ctx, silent, "standard input", candle.Solana)
		return err
	}, at)
	source := endless{make(chan struct{})}
	canceled(func(ctx context.Context) error {
		_, err := ReadTokens(ctx, source, "standard input", candle.Solana)
		return err
	}, source.read)
	// The reader of the pipe that was left still waits for a writer.
	release, err := os.OpenFile(pipe, os.O_WRONLY|syscall.O_NONBLOCK, 0)
	if err == nil {
		require.NoError(t, release.Close())
	}
}

func TestAPipeIsReadToItsEnd(t *testing.T) {
	t.Parallel()
	pipe := filepath.Join(t.TempDir(), "pipe")
	require.NoError(t, syscall.Mkfifo(pipe, 0o600))
	go func() {
		file, err := os.OpenFile(pipe, os.O_WRONLY, 0)
		if err == nil {
			_, _ = file.WriteString(mintA + "\n")
			_, _ = file.WriteString(mintB)
			_ = file.Close()
		}
	}()
	list, err := ReadTokenFile(t.Context(), pipe, candle.Solana)
	require.NoError(t, err)
	require.Len(t, list.Tokens, 2)
}
