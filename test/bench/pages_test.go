package bench

import (
	"math"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"quantbot/internal/candle"
)

// pageLimit is the most candles of one answer.
const pageLimit = 5_000

// pages responds like Birdeye with candles that are rendered beforehand, so that hardly any of the machine goes into it. All
// tokens have the same candles, and every minute has one.
type pages struct {
	from  int64
	items []byte
	ends  []int // of each item, with its comma
	// latency is how long an answer takes.
	latency time.Duration
	// Requests counts them.
	Requests atomic.Int64

	mu sync.Mutex
	// arrived is when a token was first asked for, if it is not nil.
	arrived map[string]time.Time
}

// minuteCandles walk like a price does; constant ones would compress away.
func minuteCandles(from int64, n int) []candle.Candle {
	candles := make([]candle.Candle, n)
	price := 1e-4
	for i := range candles {
		open := price
		price *= 1 + 0.01*math.Sin(float64(i)*1.7)
		volume := 100 * (0.01 + math.Abs(math.Sin(float64(i))))
		candles[i] = candle.Candle{
			OpenTime: from + int64(i)*60, Open: digits(open), High: digits(max(open, price) * 1.001), Low: digits(min(open, price) * 0.999), Close: digits(price),
			Volume: digits(volume / price), VolumeUSD: digits(volume),
		}
	}
	return candles
}

// digits keeps nine significant digits, as services do.
func digits(v float64) float64 {
	scale := math.Pow(10, 8-math.Floor(math.Log10(v)))
	return math.Round(v*scale) / scale
}

func newPages(from int64, minutes int) *pages {
	p := &pages{from: from, ends: make([]int, 0, minutes)}
	for _, c := range minuteCandles(from, minutes) {
		p.items = append(p.items, `{"unix_time":`...)
		p.items = strconv.AppendInt(p.items, c.OpenTime, 10)
		for _, f := range [...]struct {
			name  string
			value float64
		}{{"o", c.Open}, {"h", c.High}, {"l", c.Low}, {"c", c.Close}, {"v", c.Volume}, {"v_usd", c.VolumeUSD}} {
			p.items = append(p.items, `,"`+f.name+`":`...)
			p.items = strconv.AppendFloat(p.items, f.value, 'f', -1, 64)
		}
		p.items = append(p.items, `,"type":"1m","currency":"usd"},`...)
		p.ends = append(p.ends, len(p.items))
	}
	return p
}

// ServeHTTP implements http.Handler.
func (p *pages) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.Requests.Add(1)
	query := r.URL.Query()
	p.note(query.Get("address"))
	time.Sleep(p.latency)
	from, _ := strconv.ParseInt(query.Get("time_from"), 10, 64) // asked by our own source
	to, _ := strconv.ParseInt(query.Get("time_to"), 10, 64)
	first := max(0, int(candle.Interval1m.Ceil(from)-p.from)/60)
	end := min(len(p.ends), int(candle.Interval1m.Ceil(to+1)-p.from)/60, first+pageLimit)
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	const head, tail = `{"success":true,"data":{"is_scaled_ui_token":false,"items":[`, `]}}`
	var body []byte
	if first < end {
		begin := 0
		if first > 0 {
			begin = p.ends[first-1]
		}
		body = p.items[begin : p.ends[end-1]-1]
	}
	w.Header().Set("Content-Length", strconv.Itoa(len(head)+len(body)+len(tail)))
	for _, part := range [][]byte{[]byte(head), body, []byte(tail)} {
		_, _ = w.Write(part) // the client went away
	}
}

func (p *pages) note(address string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.arrived != nil && p.arrived[address].IsZero() {
		p.arrived[address] = time.Now()
	}
}

// serve listens until the test ends.
func serve(t *testing.T, handler http.Handler) (url string) {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return server.URL
}
