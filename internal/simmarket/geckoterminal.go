package simmarket

import (
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"quantbot/internal/candle"
)

const (
	// ohlcvLimit is the most candles of one answer of GeckoTerminal.
	ohlcvLimit = 1_000
	// poolPrefix and a token's address make the address of its only pool.
	poolPrefix = "pool"
)

// geckoterminal words an error as GeckoTerminal does.
var geckoterminal = dialect{
	contentType: "application/json; charset=utf-8",
	refuse: func(r errorResponse) string {
		if r.status == http.StatusTooManyRequests { // the words of the whole family
			return string(marshal(object{"status": object{"error_code": r.status, "error_message": r.message}}))
		}
		return string(marshal(object{"errors": []object{{"status": strconv.Itoa(r.status), "title": r.message}}}))
	},
	faults: map[string]errorResponse{
		"500": {status: http.StatusInternalServerError, message: "Internal Server Error"},
		"429": {status: http.StatusTooManyRequests, message: "You've exceeded the Rate Limit."},
	},
}

// object is a piece of an answer.
type object map[string]any

func marshal(answer object) []byte {
	body, err := json.Marshal(answer)
	if err != nil {
		panic(err) // only strings and numbers are in it
	}
	return body
}

// networkChains are the chains by the service's words for them.
var networkChains = map[string]candle.Chain{
	"solana": candle.Solana, "eth": candle.Ethereum, "bsc": candle.BSC, "base": candle.Base, "polygon_pos": candle.Polygon,
	"arbitrum": candle.Arbitrum, "avax": candle.Avalanche, "optimism": candle.Optimism,
}

// networks serves GET /api/v2/networks.
func (s *Server) networks(w http.ResponseWriter, r *http.Request) {
	s.answer(w, r, geckoterminal, "", func(*Fault) ([]byte, int, *errorResponse) {
		var list []object
		for _, id := range slices.Sorted(maps.Keys(networkChains)) {
			list = append(list, object{"id": id, "type": "network", "attributes": object{"name": networkChains[id]}})
		}
		return marshal(object{"data": list}), 0, nil
	})
}

// pools serves GET /api/v2/networks/{network}/tokens/{token}/pools.
func (s *Server) pools(w http.ResponseWriter, r *http.Request) {
	network, address := r.PathValue("network"), r.PathValue("token")
	s.answer(w, r, geckoterminal, address, func(*Fault) ([]byte, int, *errorResponse) {
		token := candle.Token{Chain: networkChains[network], Address: address}
		begin, exists := s.options.Market.begin(token)
		if token.Chain == "" || !exists {
			return nil, 0, &errorResponse{status: http.StatusNotFound, message: "Not Found"}
		}
		attributes := object{"address": poolPrefix + address}
		if begin != 0 {
			attributes["pool_created_at"] = candle.FormatTime(begin)
		}
		relationships := object{}
		for _, side := range []string{"base", "quote"} {
			id := network + "_" + pooled(token, side).Address
			relationships[side+"_token"] = object{"data": object{"id": id, "type": "token"}}
		}
		return marshal(object{"data": []object{{
			"id": network + "_" + poolPrefix + address, "type": "pool", "attributes": attributes, "relationships": relationships,
		}}}), 0, nil
	})
}

// pooled is the token on that side of the token's pool. Some tokens are the base of theirs and some the quote; the other
// one is called wrapped SOL everywhere.
func pooled(token candle.Token, side string) candle.Token {
	isBase := token.Address[len(token.Address)-1]%2 == 0
	if isBase == (side == "base") {
		return token
	}
	return candle.Token{Chain: token.Chain, Address: "So11111111111111111111111111111111111111112"}
}

// poolCandles serves GET /api/v2/networks/{network}/pools/{pool}/ohlcv/{timeframe}. Unlike the service's, a question that
// leaves something to the defaults is refused. Of the two readings of before_timestamp it has the one that repeats a candle.
func (s *Server) poolCandles(w http.ResponseWriter, r *http.Request) {
	address := strings.TrimPrefix(r.PathValue("pool"), poolPrefix)
	s.answer(w, r, geckoterminal, address, func(fault *Fault) ([]byte, int, *errorResponse) {
		q, status := parsePoolQuestion(r)
		if status != http.StatusOK {
			return nil, 0, &errorResponse{status: status, message: http.StatusText(status)}
		}
		found := s.options.Market.latest(q.token, q.interval, q.before+1, q.limit)
		if len(found) == 0 {
			return renderRows(nil), 0, nil
		}
		// The service does not know where the client will stop: what is outside is older than the page or younger than the question.
		page := candle.Range{From: found[len(found)-1].OpenTime, To: q.before + 1}
		return renderRows(spoil(found, page, q.interval, fault)), len(found), nil
	})
}

// poolQuestion is a checked candle request.
type poolQuestion struct {
	token    candle.Token
	interval candle.Interval
	before   int64
	limit    int
}

var timeframes = map[string]candle.Interval{
	"minute/1": candle.Interval1m, "minute/5": candle.Interval5m, "minute/15": candle.Interval15m,
	"hour/1": candle.Interval1h, "hour/4": candle.Interval4h, "day/1": candle.Interval1d,
}

// parsePoolQuestion returns the status that a question deserves.
func parsePoolQuestion(r *http.Request) (q poolQuestion, status int) {
	chain, known := networkChains[r.PathValue("network")]
	address, isPool := strings.CutPrefix(r.PathValue("pool"), poolPrefix)
	if !known || !isPool || address == "" {
		return q, http.StatusNotFound
	}
	query := r.URL.Query()
	interval, known := timeframes[r.PathValue("timeframe")+"/"+query.Get("aggregate")]
	before, beforeErr := strconv.ParseInt(query.Get("before_timestamp"), 10, 64)
	limit, limitErr := strconv.Atoi(query.Get("limit"))
	side := query.Get("token")
	switch {
	case !known, beforeErr != nil, limitErr != nil, limit < 1, limit > ohlcvLimit,
		query.Get("currency") != "usd", side != "base" && side != "quote":
		return q, http.StatusBadRequest
	}
	return poolQuestion{pooled(candle.Token{Chain: chain, Address: address}, side), interval, before, limit}, http.StatusOK
}

// renderRows writes rows of time, open, high, low, close and volume in USD.
func renderRows(candles []candle.Candle) []byte {
	body := append(make([]byte, 0, 128+96*len(candles)), `{"data":{"id":"simulated","type":"ohlcv_request_response","attributes":{"ohlcv_list":[`...)
	for i, c := range candles {
		if i > 0 {
			body = append(body, ',')
		}
		body = strconv.AppendInt(append(body, '['), c.OpenTime, 10)
		for _, value := range [...]float64{c.Open, c.High, c.Low, c.Close, c.VolumeUSD} {
			body = appendNumber(append(body, ','), value)
		}
		body = append(body, ']')
	}
	return append(body, `]}}}`...)
}
