// Package simmarket is a simulated market-data service that speaks the HTTP APIs of Birdeye, GeckoTerminal and Binance, for
// the demo, tests and benchmarks. Its market is deterministic: a candle depends on the seed, the token and its time alone,
// never on the window that was asked for, so a test can compare what arrived with what was there.
package simmarket

import (
	"cmp"
	"encoding/binary"
	"encoding/csv"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"math"
	"slices"
	"strconv"

	"github.com/mr-tron/base58"

	"quantbot/internal/candle"
)

// Market is what is true about candles.
type Market struct {
	seed uint64
	// recorded replaces the synthetic market when it is set.
	recorded Recording
}

// Series names the candles of a token, by its address, at an interval.
type Series struct {
	Address  string
	Interval candle.Interval
}

// Recording has candles of a real market, those of each series oldest first.
type Recording map[Series][]candle.Candle

// NewMarket returns a synthetic market in which every token exists.
func NewMarket(seed uint64) *Market { return &Market{seed: seed} }

// Market returns a market in which nothing but the recorded candles exists.
func (r Recording) Market() *Market { return &Market{recorded: r} }

// LoadCSV returns the market of a recording: token_address,interval,unix_time,o,h,l,c,v_usd with a header. Volume in base units is
// v_usd / close.
func LoadCSV(r io.Reader) (*Market, error) {
	rows := csv.NewReader(r)
	rows.FieldsPerRecord = 8
	rows.ReuseRecord = true
	if _, err := rows.Read(); err != nil {
		return nil, fmt.Errorf("read the header: %w", err)
	}
	recording := make(Recording)
	for line := 2; ; line++ {
		row, err := rows.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("read the candles: %w", err)
		}
		series, c, err := parseRow(row)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", line, err)
		}
		recording[series] = append(recording[series], c)
	}
	for _, candles := range recording {
		slices.SortFunc(candles, func(a, b candle.Candle) int { return int(a.OpenTime - b.OpenTime) })
	}
	return recording.Market(), nil
}

func parseRow(row []string) (Series, candle.Candle, error) {
	interval, err := candle.ParseInterval(row[1])
	if err != nil {
		return Series{}, candle.Candle{}, err
	}
	var c candle.Candle
	if c.OpenTime, err = strconv.ParseInt(row[2], 10, 64); err != nil {
		return Series{}, candle.Candle{}, err
	}
	for i, value := range []*float64{&c.Open, &c.High, &c.Low, &c.Close, &c.VolumeUSD} {
		if *value, err = strconv.ParseFloat(row[3+i], 64); err != nil {
			return Series{}, candle.Candle{}, err
		}
	}
	if c.Close > 0 {
		c.Volume = c.VolumeUSD / c.Close
	}
	return Series{row[0], interval}, c, nil
}

// Tokens returns n Solana mints, always the same ones.
func Tokens(n int) []candle.Token {
	tokens := make([]candle.Token, n)
	for i := range tokens {
		var raw [32]byte
		for j := range 4 {
			binary.BigEndian.PutUint64(raw[8*j:], mix(uint64(i), uint64(j)+1))
		}
		tokens[i] = candle.Token{Chain: candle.Solana, Address: base58.Encode(raw[:])}
	}
	return tokens
}

// Candles returns the candles that open inside the range, oldest first. Minutes without a trade have none.
func (m *Market) Candles(token candle.Token, interval candle.Interval, r candle.Range) []candle.Candle {
	return m.candles(token, interval, r, math.MaxInt)
}

// candles returns at most limit of them.
func (m *Market) candles(token candle.Token, interval candle.Interval, r candle.Range, limit int) []candle.Candle {
	if m.recorded != nil {
		all := m.recorded[Series{token.Address, interval}]
		first, _ := slices.BinarySearchFunc(all, r.From, func(c candle.Candle, t int64) int { return int(c.OpenTime - t) })
		end, _ := slices.BinarySearchFunc(all, r.To, func(c candle.Candle, t int64) int { return int(c.OpenTime - t) })
		return slices.Clone(all[first:max(first, min(end, first+min(limit, len(all))))])
	}
	p := m.process(token)
	r = r.Intersect(p.life)
	var candles []candle.Candle
	for open := interval.Ceil(r.From); open < r.To && len(candles) < limit; open += interval.Seconds() {
		if c, ok := p.candle(open, interval); ok {
			candles = append(candles, c)
		}
	}
	return candles
}

// latest returns the last candles, at most limit, that open before the end, newest first.
func (m *Market) latest(token candle.Token, interval candle.Interval, end int64, limit int) []candle.Candle {
	if m.recorded != nil {
		all := m.recorded[Series{token.Address, interval}]
		past, _ := slices.BinarySearchFunc(all, end, func(c candle.Candle, t int64) int { return cmp.Compare(c.OpenTime, t) })
		found := slices.Clone(all[max(0, past-limit):past])
		slices.Reverse(found)
		return found
	}
	p := m.process(token)
	var candles []candle.Candle
	for open := interval.Truncate(min(end, p.life.To) - 1); open >= p.life.From && len(candles) < limit; open -= interval.Seconds() {
		if c, ok := p.candle(open, interval); ok {
			candles = append(candles, c)
		}
	}
	return candles
}

// begin returns when the token began to trade, 0 if it never did, and whether it exists. Of a recording, the candles of the
// shortest interval are the most exact.
func (m *Market) begin(token candle.Token) (begin int64, exists bool) {
	if m.recorded == nil {
		return m.process(token).life.From, true
	}
	var shortest candle.Interval
	for key, candles := range m.recorded {
		if key.Address != token.Address {
			continue
		}
		exists = true
		if len(candles) > 0 && (shortest == 0 || key.Interval < shortest) {
			begin, shortest = candles[0].OpenTime, key.Interval
		}
	}
	return begin, exists
}

// Life is when the token trades: some start or die while others go on.
func (m *Market) Life(token candle.Token) candle.Range { return m.process(token).life }

// process is the price process of one token.
type process struct {
	key    uint64
	price  float64
	volume float64
	life   candle.Range
}

// The synthetic market begins and ends here; a quarter of the tokens starts inside, a sixth dies inside.
const (
	marketBegin = 1_672_531_200 // 2023-01-01
	marketEnd   = 1_893_456_000 // 2030-01-01
)

func (m *Market) process(token candle.Token) process {
	hash := fnv.New64a()
	_, _ = hash.Write([]byte(token.String())) // a hash never fails
	key := mix(hash.Sum64(), m.seed)
	p := process{
		key:    key,
		price:  math.Exp(-12 + 12*unit(mix(key, 1))), // from 6e-6 to 1 USD
		volume: math.Exp(2 + 6*unit(mix(key, 2))),
		life:   candle.Range{From: marketBegin, To: marketEnd},
	}
	span := float64(marketEnd - marketBegin)
	if mix(key, 3)%4 == 0 {
		p.life.From = marketBegin + int64(span*unit(mix(key, 4)))
	}
	if mix(key, 5)%6 == 0 {
		p.life.To = p.life.From + int64(float64(marketEnd-p.life.From)*unit(mix(key, 6)))
	}
	return p
}

// candle builds a candle from minutes, or directly when the interval is shorter.
func (p process) candle(open int64, interval candle.Interval) (candle.Candle, bool) {
	if interval <= candle.Interval1m {
		return p.tick(open, interval.Seconds())
	}
	var whole candle.Candle
	found := false
	for t := open; t < open+interval.Seconds(); t += 60 {
		c, ok := p.tick(t, 60)
		if !ok || !p.life.Contains(t) {
			continue
		}
		if !found {
			whole, found = c, true
			whole.OpenTime = open
			continue
		}
		whole.High, whole.Low, whole.Close = max(whole.High, c.High), min(whole.Low, c.Low), c.Close
		whole.Volume += c.Volume
		whole.VolumeUSD += c.VolumeUSD
	}
	return whole, found
}

// tick is the candle of one step; about 12 % of the steps, and now and then a whole hour, have no trade.
func (p process) tick(open, step int64) (candle.Candle, bool) {
	noise := mix(p.key, uint64(open)*64+uint64(step))
	if noise%100 < 12 || mix(p.key, uint64(open/3600)^0xabcdef)%60 == 0 {
		return candle.Candle{}, false
	}
	first, last := p.at(open), p.at(open+step)
	spread := 0.004 * unit(mix(noise, 1))
	c := candle.Candle{
		OpenTime: open, Open: round(first), Close: round(last),
		High: round(max(first, last) * (1 + spread)), Low: round(min(first, last) * (1 - spread)),
	}
	if mix(noise, 2)%500 != 0 { // a rare candle shows a price and no volume
		c.VolumeUSD = round(p.volume * math.Exp(3*unit(mix(noise, 3))))
		c.Volume = round(c.VolumeUSD / c.Close)
	}
	return c, true
}

// scales are the lengths, in seconds, and sizes of the waves that the logarithm of a price is made of.
var scales = []struct {
	seconds int64
	size    float64
}{{120, 0.004}, {900, 0.015}, {7_200, 0.05}, {86_400, 0.2}, {1_209_600, 0.8}}

// at is the price at a moment: hashed lattice points at each scale, joined smoothly.
func (p process) at(t int64) float64 {
	sum := 0.0
	for i, scale := range scales {
		cell, rest := t/scale.seconds, float64(t%scale.seconds)/float64(scale.seconds)
		salt := uint64(i+1) << 56
		from, to := signed(mix(p.key^salt, uint64(cell))), signed(mix(p.key^salt, uint64(cell+1)))
		ease := rest * rest * (3 - 2*rest)
		sum += scale.size * (from + (to-from)*ease)
	}
	return p.price * math.Exp(sum)
}

// round keeps nine significant digits, as services do.
func round(v float64) float64 {
	if v == 0 {
		return 0
	}
	digits := math.Pow(10, 8-math.Floor(math.Log10(math.Abs(v))))
	return math.Round(v*digits) / digits
}

// mix is a strong 64-bit mixer (splitmix64's finalizer over both).
func mix(a, b uint64) uint64 {
	x := a + 0x9e3779b97f4a7c15*(b+1)
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9
	x = (x ^ (x >> 27)) * 0x94d049bb133111eb
	return x ^ (x >> 31)
}

func unit(x uint64) float64   { return float64(x>>11) / (1 << 53) }
func signed(x uint64) float64 { return 2*unit(x) - 1 }
