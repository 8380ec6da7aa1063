package worklist

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"quantbot/internal/candle"
)

// maxLine bounds a line of a token list; the longest address has 44 characters.
const maxLine = 64 << 10

// ParseToken reads "address", which is taken to be on the chain, or "chain:address".
func ParseToken(s string, chain candle.Chain) (candle.Token, error) {
	address := strings.TrimSpace(s)
	if name, rest, found := strings.Cut(address, ":"); found {
		named, err := candle.ParseChain(name)
		if err != nil {
			return candle.Token{}, inputErrorf("token %q: %v", s, err)
		}
		chain, address = named, rest
	}
	token, err := candle.NewToken(chain, address)
	if err != nil {
		return candle.Token{}, inputErrorf("%v", err)
	}
	return token, nil
}

// ReadTokens reads a token list: one "address" or "chain:address" a line, or a CSV whose header names a column mint,
// address or token_address and maybe one named chain. Empty lines and lines that begin with # are left out. Lines that
// cannot be understood are skipped, counted and listed. name stands in messages.
func ReadTokens(r io.Reader, name string, chain candle.Chain) (List, error) {
	list := List{Origin: name}
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, maxLine)
	columns := lineColumns{address: 0, chain: -1}
	first := true
	for number := 1; lines.Scan(); number++ {
		text := strings.TrimSpace(strings.TrimPrefix(lines.Text(), "\ufeff"))
		if text == "" || strings.HasPrefix(text, "#") {
			continue
		}
		if first {
			first = false
			if header, ok := parseHeader(text); ok {
				columns = header
				continue
			}
		}
		token, skipped := columns.token(text, chain)
		if skipped != nil {
			skipped.Where = fmt.Sprintf("line %d", number)
			list.Skip(*skipped)
			continue
		}
		list.Tokens = append(list.Tokens, token)
	}
	if errors.Is(lines.Err(), bufio.ErrTooLong) {
		return List{}, inputErrorf("%s has a line above %d characters: it is no token list", name, maxLine)
	}
	if err := lines.Err(); err != nil {
		return List{}, fmt.Errorf("read %s: %w", name, err)
	}
	list.sort()
	return list, nil
}

// lineColumns says where a line has what; chain is -1 when no column has it.
type lineColumns struct{ address, chain int }

func parseHeader(text string) (lineColumns, bool) {
	columns := lineColumns{address: -1, chain: -1}
	for i, name := range strings.Split(strings.ToLower(text), ",") {
		name = strings.Trim(strings.TrimSpace(name), `"`)
		switch {
		case slices.Contains([]string{"token", "mint", "address", "token_address"}, name):
			columns.address = i
		case name == "chain":
			columns.chain = i
		}
	}
	return columns, columns.address >= 0
}

func (c lineColumns) token(text string, chain candle.Chain) (candle.Token, *Skipped) {
	cells := strings.Split(text, ",")
	cell := func(i int) string {
		if i < 0 || i >= len(cells) {
			return ""
		}
		return strings.Trim(strings.TrimSpace(cells[i]), `"`)
	}
	s := &Skipped{Chain: cell(c.chain), Address: cell(c.address)}
	if c.chain >= 0 {
		named, err := candle.ParseChain(s.Chain)
		if err != nil {
			s.Reason = err.Error()
			return candle.Token{}, s
		}
		chain = named
	}
	token, err := ParseToken(s.Address, chain)
	if err != nil {
		s.Reason = err.Error()
		return candle.Token{}, s
	}
	return token, nil
}
