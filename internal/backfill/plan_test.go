package backfill

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"quantbot/internal/candle"
	"quantbot/internal/manifest"
)

var testToken = candle.Token{Chain: candle.Solana, Address: "So11111111111111111111111111111111111111112"}

func request(interval candle.Interval, ranges ...candle.Range) Request {
	return Request{Source: "s", Interval: interval, Wanted: []candle.TokenRanges{{Token: testToken, Ranges: ranges}}}
}

func ranges(plan Plan) []candle.Range {
	var out []candle.Range
	for _, c := range plan.Chunks {
		out = append(out, c.Range)
	}
	return out
}

func TestPlanCutsAlignedChunks(t *testing.T) {
	t.Parallel()
	far := time.Unix(1<<32, 0)
	for name, test := range map[string]struct {
		wanted []candle.Range
		now    time.Time
		want   []candle.Range
	}{
		"one chunk":              {[]candle.Range{{From: 0, To: 600}}, far, []candle.Range{{From: 0, To: 600}}},
		"two chunks":             {[]candle.Range{{From: 0, To: 660}}, far, []candle.Range{{From: 0, To: 600}, {From: 600, To: 660}}},
		"unaligned":              {[]candle.Range{{From: 1, To: 61}}, far, []candle.Range{{From: 60, To: 120}}},
		"between two opens":      {[]candle.Range{{From: 1, To: 59}}, far, nil},
		"overlapping and joined": {[]candle.Range{{From: 120, To: 240}, {From: 0, To: 180}}, far, []candle.Range{{From: 0, To: 240}}},
		"apart":                  {[]candle.Range{{From: 0, To: 60}, {From: 180, To: 240}}, far, []candle.Range{{From: 0, To: 60}, {From: 180, To: 240}}},
		"not closed yet":         {[]candle.Range{{From: 0, To: 600}}, time.Unix(60+180+59, 0), []candle.Range{{From: 0, To: 180}}},
		"in the future":          {[]candle.Range{{From: 6_000, To: 6_600}}, time.Unix(600, 0), nil},
		"empty":                  {[]candle.Range{{From: 600, To: 0}}, far, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			plan, err := NewPlan(t.Context(), request(candle.Interval1m, test.wanted...), PlanOptions{Now: test.now, SettleDelay: time.Minute, Cut: Cut{Candles: 10}})
			require.NoError(t, err)
			require.Equal(t, test.want, ranges(plan))
		})
	}
}

func TestPlanRefusesWhatItCannotCut(t *testing.T) {
	t.Parallel()
	_, err := NewPlan(t.Context(), request(candle.Interval1m), PlanOptions{})
	require.ErrorContains(t, err, "Candles")
	_, err = NewPlan(t.Context(), Request{}, PlanOptions{Cut: Cut{Candles: 1}})
	require.ErrorContains(t, err, "interval")
}

// Chunks cover exactly the open times that are wanted and closed, each once, on the grid, within the limit.
func FuzzPlan(f *testing.F) {
	f.Add(int64(0), int64(600), int64(30), int64(5_000), uint8(2), int64(3), int64(2_000))
	f.Add(int64(-100), int64(50), int64(40), int64(90), uint8(3), int64(1), int64(80))
	intervals := []candle.Interval{candle.Interval1s, candle.Interval15s, candle.Interval1m, candle.Interval5m, candle.Interval1h}
	f.Fuzz(func(t *testing.T, from1, to1, from2, to2 int64, which uint8, chunk, now int64) {
		const limit = 100_000
		for _, v := range []*int64{&from1, &to1, &from2, &to2, &now} {
			*v %= limit
		}
		chunk = 1 + (chunk%50+50)%50
		interval := intervals[int(which)%len(intervals)]
		plan, err := NewPlan(t.Context(), request(interval, candle.Range{From: from1, To: to1}, candle.Range{From: from2, To: to2}),
			PlanOptions{Now: time.Unix(now, 0), SettleDelay: 7 * time.Second, Cut: Cut{Candles: chunk, At: Boundary(which % 3)}})
		if err != nil {
			t.Fatal(err)
		}
		planned := map[int64]int{}
		for _, c := range plan.Chunks {
			if c.Range.Empty() || !interval.OnGrid(c.Range.From) || !interval.OnGrid(c.Range.To) || c.Range.Candles(interval) > chunk {
				t.Fatalf("chunk %v of %s", c.Range, interval)
			}
			for open := c.Range.From; open < c.Range.To; open += interval.Seconds() {
				planned[open]++
			}
		}
		wanted := 0
		for open := interval.Ceil(-limit); open < limit; open += interval.Seconds() {
			inside := (candle.Range{From: from1, To: to1}).Contains(open) || (candle.Range{From: from2, To: to2}).Contains(open)
			closed := open+interval.Seconds()+7 <= now
			if inside && closed {
				wanted++
				if planned[open] != 1 {
					t.Fatalf("open time %d of %s is planned %d times", open, interval, planned[open])
				}
			}
		}
		if wanted != len(planned) || int64(wanted) != plan.Candles {
			t.Fatalf("%d open times wanted, %d planned, %d counted", wanted, len(planned), plan.Candles)
		}
	})
}

func TestChunkIDsAreStable(t *testing.T) {
	t.Parallel()
	c := NewChunk(testToken, candle.Interval1m, candle.Range{From: 60, To: 120})
	require.Equal(t, ChunkID("9a964ecd975daecd62be6770"), c.ID, "ids stand in stores of earlier versions")
	require.NotEqual(t, c.ID, NewChunk(testToken, candle.Interval5m, c.Range).ID)
	require.NotEqual(t, c.ID, NewChunk(testToken, candle.Interval1m, candle.Range{From: 60, To: 180}).ID)
}

func TestInputHashIgnoresTheOrderOfTheWorklist(t *testing.T) {
	t.Parallel()
	other := candle.Token{Chain: candle.Base, Address: "0x0000000000000000000000000000000000000001"}
	a := Request{Interval: candle.Interval1m, Wanted: []candle.TokenRanges{
		{Token: testToken, Ranges: []candle.Range{{From: 0, To: 60}}}, {Token: other, Ranges: []candle.Range{{From: 0, To: 60}}},
		{Token: testToken, Ranges: []candle.Range{{From: 60, To: 120}}},
	}}
	b := Request{Interval: candle.Interval1m, Wanted: []candle.TokenRanges{
		{Token: other, Ranges: []candle.Range{{From: 0, To: 60}}}, {Token: testToken, Ranges: []candle.Range{{From: 0, To: 120}}},
	}}
	a.Normalize()
	b.Normalize()
	hashA, err := manifest.InputHash(a)
	require.NoError(t, err)
	hashB, err := manifest.InputHash(b)
	require.NoError(t, err)
	require.Equal(t, hashA, hashB)
}

// A million chunks must be planned in under two seconds and a gigabyte.
func BenchmarkPlanMillionChunks(b *testing.B) {
	wanted := make([]candle.TokenRanges, 100_000)
	for i := range wanted {
		address := []byte(testToken.Address)
		for j, n := len(address)-1, i; j > len(address)-7; j, n = j-1, n/10 {
			address[j] = byte('0' + n%10)
		}
		wanted[i] = candle.TokenRanges{Token: candle.Token{Chain: candle.Solana, Address: string(address)}, Ranges: []candle.Range{{From: 0, To: 6_000}}}
	}
	b.ReportAllocs()
	for b.Loop() {
		plan, err := NewPlan(b.Context(), Request{Interval: candle.Interval1m, Wanted: wanted}, PlanOptions{Now: time.Unix(1<<31, 0), Cut: Cut{Candles: 10}})
		if err != nil || len(plan.Chunks) != 1_000_000 {
			b.Fatal(len(plan.Chunks), err)
		}
	}
}

// A request may be planned and measured by several at a time: none of them changes it.
func TestPlanningLeavesTheRequestAsItIs(t *testing.T) {
	t.Parallel()
	other := candle.Token{Chain: candle.Solana, Address: "4k3Dyjzvzp8eMZWUXbBCjEvwSkkk59S5iCNLY3QrkX6R"}
	wanted := func() []candle.TokenRanges {
		return []candle.TokenRanges{
			{Token: testToken, Ranges: []candle.Range{{From: 600, To: 900}, {From: 0, To: 660}}},
			{Token: other, Ranges: []candle.Range{{From: 0, To: 60}}},
			{Token: testToken, Ranges: []candle.Range{{From: 1200, To: 1260}}},
		}
	}
	request := Request{Interval: candle.Interval1m, Wanted: wanted()}
	plan, err := NewPlan(t.Context(), request, PlanOptions{Now: time.Unix(6000, 0), Cut: Cut{Candles: 100}})
	require.NoError(t, err)
	require.Equal(t, wanted(), request.Wanted)
	require.Len(t, plan.Chunks, 3, "tokens named twice are joined")
	request.Normalize()
	require.True(t, request.isNormal())
	again, err := NewPlan(t.Context(), request, PlanOptions{Now: time.Unix(6000, 0), Cut: Cut{Candles: 100}})
	require.NoError(t, err)
	require.Equal(t, plan.Chunks, again.Chunks)
}
