package worklist

import (
	"fmt"
	"slices"
	"strings"

	"quantbot/internal/candle"
)

// tokenColumns are the names of columns that hold tokens. Where a header has several, the first of them counts: what is surely
// an address comes before what other tools also use for a name.
var tokenColumns = []string{
	"token_address", "mint", "mint_address", "contract_address", "address", "contract", "ca", "token", "symbol", marketColumn,
}

// marketColumn holds markets of an exchange. Tables of a chain's tokens have the address of a pool there, which looks like a
// token's and has no candles.
const marketColumn = "pair"

// chainColumns are the names of columns that hold the chain; again the first counts.
var chainColumns = []string{"chain", "network", "blockchain"}

// otherHeaders are words that head a column of some other kind, or of a name that is not known. As the only word of a first
// line they are no token, though an exchange could have a symbol like them.
var otherHeaders = []string{
	"addresses", "asset", "base", "coin", "contracts", "currency", "id", "instrument", "market", "mints", "name", "pair_address", "pairs", "pool",
	"pool_address", "quote", "symbols", "ticker", "token_id", "tokens",
}

// TokenColumns says in words which columns are known, for help and errors.
func TokenColumns() string {
	return strings.Join(tokenColumns[:len(tokenColumns)-1], ", ") + " or " + tokenColumns[len(tokenColumns)-1]
}

// tokenTable says where a record has what; chain is -1 when no column has it. A plain list has no header and one cell a line.
type tokenTable struct {
	header         bool
	cells          int
	address, chain int
	// markets: the address is a market of an exchange.
	markets bool
}

var plainList = tokenTable{cells: 1, chain: -1}

// columnName makes one name of "Token Address", token_address and tokenAddress.
func columnName(cell string) string {
	return strings.NewReplacer(" ", "", "-", "", "_", "").Replace(strings.ToLower(strings.TrimSpace(cell)))
}

// findTable understands a header; found is false when it names no column that holds tokens.
func findTable(header []string) (t tokenTable, found bool, err error) {
	names := make([]string, len(header))
	for i, cell := range header {
		names[i] = columnName(cell)
	}
	t = tokenTable{header: true, cells: len(names)}
	if t.address, err = firstColumn(names, tokenColumns); err != nil || t.address < 0 {
		return t, false, err
	}
	t.markets = names[t.address] == marketColumn
	t.chain, err = firstColumn(names, chainColumns)
	return t, true, err
}

// firstColumn returns where the first of the wanted names is, or -1.
func firstColumn(names, wanted []string) (int, error) {
	for _, name := range wanted {
		if at := slices.Index(names, columnName(name)); at >= 0 {
			if slices.Contains(names[at+1:], columnName(name)) {
				return -1, inputErrorf("has two columns %s: give one of them another name", name)
			}
			return at, nil
		}
	}
	return -1, nil
}

// sniff understands the first line: a header, whose separator is then the file's, or the first entry of a plain list, which is
// put back.
func (r *records) sniff(first string) (table tokenTable, err error) {
	var most []string
	for _, separator := range r.separators {
		cells, err := splitLine(first, separator)
		if err != nil {
			continue // quotes that are right with another separator
		}
		if bare, err := splitLine(strings.TrimSpace(first), separator); err == nil && len(bare) > len(most) { // a tab before it is no cell of a list
			most = bare
		}
		t, found, err := findTable(cells)
		if err != nil {
			return t, err
		}
		if found && len(cells) > table.cells {
			table, r.separator = t, separator
		}
	}
	isOther := func(name string) bool { return columnName(name) == columnName(first) }
	switch {
	case table.header:
		return table, nil
	case len(most) > 1 || slices.ContainsFunc(otherHeaders, isOther):
		return table, inputErrorf("has no column %s; it has: %s. Give it a header with one of them, or one token a line", TokenColumns(), clipped(strings.Join(most, ", ")))
	}
	r.putBack(first)
	return plainList, nil
}

// clipped keeps errors readable where a line is long.
func clipped(s string) string {
	const limit = 80
	if len(s) <= limit {
		return s
	}
	return strings.ToValidUTF8(s[:limit], "") + "…"
}

// isComment distinguishes a comment from a row that begins with #, like one of a token named "#1 dog": a comment has not just as
// many cells as a header of several.
func (t tokenTable) isComment(r record) bool {
	return strings.HasPrefix(r.first, "#") && (t.cells == 1 || len(r.cells) != t.cells)
}

// token reads a record, or says why it is skipped.
func (t tokenTable) token(r record, chain candle.Chain) (candle.Token, *Skipped) {
	cell := func(i int) string {
		if i < 0 || i >= len(r.cells) {
			return ""
		}
		return strings.TrimSpace(r.cells[i])
	}
	s := &Skipped{Chain: cell(t.chain), Address: cell(t.address)}
	switch {
	case r.malformed != nil:
		s.Chain, s.Address, s.Reason = "", clipped(r.first), "quotes are not as in CSV"
	case len(r.cells) > t.cells && !t.header:
		s.Reason = fmt.Sprintf("has %d cells, and no header says what they are", len(r.cells))
	case len(r.cells) > t.cells:
		s.Reason = fmt.Sprintf("has %d cells, the header has %d", len(r.cells), t.cells)
	case s.Address == "":
		s.Reason = "address missing"
	}
	if s.Reason != "" {
		return candle.Token{}, s
	}
	token, err := t.parse(s.Address, s.Chain, chain)
	if err == nil && t.markets && !token.Chain.Exchange() {
		err = fmt.Errorf("a %s is a market of an exchange, and %s is none: name its tokens in a column %s", marketColumn, token.Chain, tokenColumns[0])
	}
	if err != nil {
		s.Reason = err.Error()
		return candle.Token{}, s
	}
	return token, nil
}

func (t tokenTable) parse(address, named string, chain candle.Chain) (token candle.Token, err error) {
	if t.chain >= 0 {
		if chain, err = candle.ParseChain(named); err != nil {
			return token, err
		}
	}
	if token, err = ParseToken(address, chain); err == nil && t.chain >= 0 && token.Chain != chain {
		err = fmt.Errorf("the address names the chain %s, the row %s", token.Chain, chain)
	}
	return token, err
}
