package worklist

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"

	"quantbot/internal/candle"
)

// ErrInput marks errors that the user can mend: a wrong file, table, column or address.
var ErrInput = errors.New("worklist")

// inputError is an error of the user's input; its text stands for itself.
type inputError struct{ text string }

func (e *inputError) Error() string        { return e.text }
func (e *inputError) Is(target error) bool { return target == ErrInput }

func inputErrorf(format string, args ...any) error {
	return &inputError{text: fmt.Sprintf(format, args...)}
}

// Call is one mention of a token.
type Call struct {
	Token candle.Token
	AtMS  int64 // Unix milliseconds
}

// Skipped is a row that could not be used.
type Skipped struct {
	Where   string `json:"where"` // "row 17" or "line 3"
	Chain   string `json:"chain"`
	Address string `json:"address"`
	Reason  string `json:"reason"`
}

// MaxEntries is the most calls, or tokens, of a worklist; each takes some 100 bytes, and each token at least one chunk
// of a plan (see backfill.MaxChunks).
const MaxEntries = 5_000_000

// maxSkipped bounds the list of skipped rows; the count goes on.
const maxSkipped = 1_000

// List is what a worklist holds: calls when it comes from DuckDB, tokens when it comes from a token list.
type List struct {
	// Origin names the table, query or file.
	Origin string
	// Others says in words what else the database has that could be calls, and was not read; empty where nothing is.
	Others string
	Calls  []Call         // by token, then time, without repetitions
	Tokens []candle.Token // sorted, without repetitions
	// Skipped lists the first rows that could not be used, SkippedTotal counts all.
	Skipped      []Skipped
	SkippedTotal int
}

// Skip counts a row that cannot be used, and lists it while the list is short.
func (l *List) Skip(s Skipped) {
	l.SkippedTotal++
	if len(l.Skipped) < maxSkipped {
		l.Skipped = append(l.Skipped, s)
	}
}

func (l *List) sort() {
	slices.SortFunc(l.Calls, func(a, b Call) int {
		return cmp.Or(a.Token.Compare(b.Token), cmp.Compare(a.AtMS, b.AtMS))
	})
	l.Calls = slices.Compact(l.Calls)
	slices.SortFunc(l.Tokens, candle.Token.Compare)
	l.Tokens = slices.Compact(l.Tokens)
}

// CallWindows returns, per token, the merged windows from pre before to post after each call. Calls must be sorted by
// token, as a List has them.
func CallWindows(calls []Call, pre, post time.Duration) []candle.TokenRanges {
	var windows []candle.TokenRanges
	for len(calls) > 0 {
		token := calls[0].Token
		end := slices.IndexFunc(calls, func(c Call) bool { return c.Token != token })
		if end < 0 {
			end = len(calls)
		}
		ranges := make([]candle.Range, end)
		for i, call := range calls[:end] {
			at := time.UnixMilli(call.AtMS)
			ranges[i] = candle.Range{From: max(at.Add(-pre).Unix(), 0), To: at.Add(post).Unix()}
		}
		windows = append(windows, candle.TokenRanges{Token: token, Ranges: candle.Merge(ranges)})
		calls = calls[end:]
	}
	return windows
}

// CalledTokens returns the tokens of the calls; they must be sorted by token.
func CalledTokens(calls []Call) []candle.Token {
	var tokens []candle.Token
	for _, call := range calls {
		if len(tokens) == 0 || tokens[len(tokens)-1] != call.Token {
			tokens = append(tokens, call.Token)
		}
	}
	return tokens
}

// WholeRange wants the same range of every token.
func WholeRange(tokens []candle.Token, r candle.Range) []candle.TokenRanges {
	wanted := make([]candle.TokenRanges, len(tokens))
	for i, token := range tokens {
		wanted[i] = candle.TokenRanges{Token: token, Ranges: []candle.Range{r}}
	}
	return wanted
}
