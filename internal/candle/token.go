package candle

import (
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/mr-tron/base58"
)

// Chain names a blockchain, or an exchange, by its one spelling in quantbot.
type Chain string

// The chains that a token may live on.
const (
	Solana    Chain = "solana"
	Ethereum  Chain = "ethereum"
	BSC       Chain = "bsc"
	Base      Chain = "base"
	Monad     Chain = "monad"
	Arbitrum  Chain = "arbitrum"
	Avalanche Chain = "avalanche"
	Optimism  Chain = "optimism"
	Polygon   Chain = "polygon"
	// BinanceSpot is an exchange, whose tokens are its symbols. The word "binance" alone means the chain BSC in call tables.
	BinanceSpot Chain = "binance-spot"
)

var chainSpellings = map[string]Chain{
	"solana": Solana, "sol": Solana,
	"ethereum": Ethereum, "eth": Ethereum,
	"bsc": BSC, "bnb": BSC, "binance": BSC,
	"base":     Base,
	"monad":    Monad,
	"arbitrum": Arbitrum, "arb": Arbitrum,
	"avalanche": Avalanche, "avax": Avalanche,
	"optimism": Optimism, "op": Optimism,
	"polygon": Polygon, "matic": Polygon,
	"binance-spot": BinanceSpot,
}

// Chains are all of them, by name.
func Chains() []Chain { return slices.Compact(slices.Sorted(maps.Values(chainSpellings))) }

// ParseChain maps the spellings found in call tables to one name. Case and surrounding blanks do not matter. A name that
// is not known is an error and never quietly Solana.
func ParseChain(s string) (Chain, error) {
	if chain, ok := chainSpellings[strings.ToLower(strings.TrimSpace(s))]; ok {
		return chain, nil
	}
	return "", fmt.Errorf("unknown chain %q", s)
}

// Exchange reports whether it is an exchange, whose tokens are symbols, and no chain.
func (c Chain) Exchange() bool { return c == BinanceSpot }

// Token is what candles are fetched for: an address on a chain. It is comparable and usable as a map key.
type Token struct {
	Chain   Chain  `json:"chain"`
	Address string `json:"address"`
}

// NewToken checks the address against the chain's form. A Solana mint is kept exactly as it is (its case carries
// information); an EVM address is lower-cased (its case is only a checksum), and so are the ASCII letters of a symbol
// upper-cased, so that a token has one key.
func NewToken(chain Chain, address string) (Token, error) {
	address = strings.TrimSpace(address)
	var err error
	switch chain {
	case Solana:
		err = checkSolanaMint(address)
	case BinanceSpot:
		address = upperASCII(address)
		err = checkSymbol(address)
	default:
		address = strings.ToLower(address)
		if err = checkEVMAddress(address); err != nil {
			err = fmt.Errorf("%w on %s", err, chain)
		}
	}
	if err != nil {
		return Token{}, err
	}
	return Token{Chain: chain, Address: address}, nil
}

// String writes the token as chain:address.
func (t Token) String() string { return string(t.Chain) + ":" + t.Address }

// Compare orders tokens by chain, then address.
func (t Token) Compare(other Token) int {
	if c := strings.Compare(string(t.Chain), string(other.Chain)); c != 0 {
		return c
	}
	return strings.Compare(t.Address, other.Address)
}

// checkSolanaMint: a mint is 32 bytes in base58, which is 32 to 44 characters.
func checkSolanaMint(address string) error {
	if len(address) < 32 || len(address) > 44 {
		return fmt.Errorf("address %q is no Solana mint: %d characters instead of 32 to 44", shorten(address), len(address))
	}
	raw, err := base58.Decode(address)
	if err != nil {
		return fmt.Errorf("address %q is no Solana mint: not base58", address)
	}
	if len(raw) != 32 {
		return fmt.Errorf("address %q is no Solana mint: %d bytes instead of 32", address, len(raw))
	}
	return nil
}

func checkEVMAddress(address string) error {
	digits, ok := strings.CutPrefix(strings.ToLower(address), "0x")
	if ok && len(digits) == 40 {
		if _, err := hex.DecodeString(digits); err == nil {
			return nil
		}
	}
	return fmt.Errorf("address %q is no EVM address (0x and 40 hex digits)", shorten(address))
}

// upperASCII leaves letters of other scripts as the exchange writes them: their upper case is not always one letter, and no
// symbol's is known to differ.
func upperASCII(s string) string {
	return strings.Map(func(r rune) rune {
		if 'a' <= r && r <= 'z' {
			return r - 'a' + 'A'
		}
		return r
	}, s)
}

// maxSymbol is in letters of any script; the longest known symbol has 17.
const maxSymbol = 20

// checkSymbol: what the exchange's API takes for a symbol: letters of any script (币安人生USDT is one), digits and -_. What
// cannot be seen (control and format characters, fillers, variation selectors) is refused: two symbols must not look alike.
func checkSymbol(symbol string) error {
	if symbol == "" || utf8.RuneCountInString(symbol) > maxSymbol || strings.Trim(symbol, "-_.") == "" || strings.ContainsFunc(symbol, notOfSymbols) {
		return fmt.Errorf("%q is no symbol of Binance spot (letters and digits, like BTCUSDT)", shorten(symbol))
	}
	return nil
}

func notOfSymbols(r rune) bool {
	if r < utf8.RuneSelf {
		return !('A' <= r && r <= 'Z' || '0' <= r && r <= '9' || strings.ContainsRune("-_.", r))
	}
	return r == utf8.RuneError || !unicode.In(r, unicode.L, unicode.M, unicode.Nd) ||
		unicode.In(r, unicode.Variation_Selector, unicode.Other_Default_Ignorable_Code_Point)
}

// shorten keeps error texts readable when a cell holds a whole document.
func shorten(s string) string {
	const limit = 64
	if len(s) <= limit {
		return s
	}
	return strings.ToValidUTF8(s[:limit], "") + "…"
}

// TokenRanges is what is wanted of one token.
type TokenRanges struct {
	Token  Token   `json:"token"`
	Ranges []Range `json:"ranges"`
}
