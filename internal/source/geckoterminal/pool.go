package geckoterminal

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"quantbot/internal/backfill"
	"quantbot/internal/candle"
)

// pool is where a token trades.
type pool struct {
	address string
	// side is which of the pool's two tokens it is: base or quote.
	side string
	// created is when the pool came into being, in Unix seconds; 0 = not known.
	created int64
}

// errNoPool: the source has nothing for the token.
var errNoPool = errors.New("geckoterminal knows no pool of the token")

// askPool asks for the most liquid pools of the token.
func (s *Source) askPool(ctx context.Context, token candle.Token) (found pool, calls int64, err error) {
	address := s.base.JoinPath("networks", networks[token.Chain], "tokens", token.Address, "pools")
	address.RawQuery = "page=1&sort=h24_volume_usd_liquidity_desc"
	answer, calls, err := s.get(ctx, address, maxList)
	if err == nil {
		found, err = decodePool(answer.Body, token)
	} else if backfill.ClassOf(err) == backfill.ClassPermanent {
		err = backfill.WithClass(backfill.ClassPermanent, fmt.Errorf("%w: %w", errNoPool, err))
	}
	return found, calls, err
}

// listedPool is one pool of an answer.
type listedPool struct {
	Attributes struct {
		Address   string `json:"address"`
		CreatedAt string `json:"pool_created_at"`
	} `json:"attributes"`
	Relationships struct {
		Base  listedToken `json:"base_token"`
		Quote listedToken `json:"quote_token"`
	} `json:"relationships"`
}

// listedToken is one of a pool's tokens; its id is the network, an underscore and the address.
type listedToken struct {
	Data struct {
		ID string `json:"id"`
	} `json:"data"`
}

// decodePool returns the first pool of which the token is base or quote; pools of three and more tokens list some under
// others. Errors carry a class.
func decodePool(body []byte, token candle.Token) (pool, error) {
	var a struct {
		Data *[]listedPool `json:"data"`
	}
	if err := decode(body, &a); err != nil {
		return pool{}, backfill.WithClass(backfill.ClassUnavailable, err)
	}
	if a.Data == nil {
		return pool{}, backfill.WithClass(backfill.ClassUnavailable, without("pools", body))
	}
	for i, listed := range *a.Data {
		base, quote := listed.Relationships.Base.Data.ID, listed.Relationships.Quote.Data.ID
		if !isAddress(listed.Attributes.Address) || base == "" || quote == "" {
			return pool{}, backfill.WithClass(backfill.ClassUnavailable, fmt.Errorf("pool %d of the answer lacks its address or a token", i))
		}
		switch {
		case isToken(base, token):
			return listed.pool("base"), nil
		case isToken(quote, token):
			return listed.pool("quote"), nil
		}
	}
	return pool{}, backfill.WithClass(backfill.ClassPermanent, errNoPool)
}

func (l listedPool) pool(side string) pool {
	p := pool{address: l.Attributes.Address, side: side}
	if created, err := time.Parse(time.RFC3339, l.Attributes.CreatedAt); err == nil {
		p.created = created.Unix()
	}
	return p
}

// isAddress: the address becomes part of a URL's path.
func isAddress(s string) bool {
	foreign := func(r rune) bool {
		return (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z')
	}
	return s != "" && !strings.ContainsFunc(s, foreign)
}

// isToken compares exactly where case carries information.
func isToken(id string, token candle.Token) bool {
	address, found := strings.CutPrefix(id, networks[token.Chain]+"_")
	return found && isAddressOf(address, token)
}

func isAddressOf(address string, token candle.Token) bool {
	if token.Chain == candle.Solana {
		return address == token.Address
	}
	return strings.EqualFold(address, token.Address)
}
