package simmarket

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// FaultKinds are the ways in which the server can misbehave. 401 and quota are Birdeye's, 418 is Binance's.
var FaultKinds = []string{"500", "521", "429", "418", "401", "quota", "cut", "blank", "empty", "slow", "duplicate", "outside", "late", "garbage"}

// Fault is one way to misbehave and when. Without a condition it hits every request.
type Fault struct {
	Kind string
	// Token limits the fault to one address.
	Token string
	// Rate is the share of requests hit, chosen by the request's number; 0 = not by rate.
	Rate float64
	// Every hits each nth request; 0 = not by count.
	Every int64
	// After spares the first requests, Times ends the fault after so many hits, For after so long; 0 = no limit.
	After int64
	Times int64
	For   time.Duration
	// RetryAfter is the wait that a 429 or 418 asks for, in seconds; Delay is what slow adds.
	RetryAfter int
	Delay      time.Duration
}

// ParseFault reads KIND[:option=value,…], for example "500:token=So11…", "429:every=50,retry_after=2", "cut:rate=0.01",
// "slow:rate=0.01,delay=3s", "quota:after=1000" or "521:for=1m".
func ParseFault(s string) (Fault, error) {
	kind, options, _ := strings.Cut(s, ":")
	if !slices.Contains(FaultKinds, kind) {
		return Fault{}, fmt.Errorf("fault %q: unknown kind %q (known: %s)", s, kind, strings.Join(FaultKinds, ", "))
	}
	f := Fault{Kind: kind, RetryAfter: 1, Delay: 3 * time.Second}
	if options == "" {
		return f, nil
	}
	for option := range strings.SplitSeq(options, ",") {
		name, value, _ := strings.Cut(option, "=")
		if err := f.set(name, value); err != nil {
			return Fault{}, fmt.Errorf("fault %q: option %q: %w", s, name, err)
		}
	}
	return f, nil
}

func (f *Fault) set(name, value string) (err error) {
	switch name {
	case "token":
		f.Token = value
	case "rate":
		f.Rate, err = strconv.ParseFloat(value, 64)
		if err == nil && !(f.Rate > 0 && f.Rate <= 1) {
			err = fmt.Errorf("%q is not above 0 and up to 1", value)
		}
	case "every":
		f.Every, err = positive(value)
	case "after":
		f.After, err = positive(value)
	case "times":
		f.Times, err = positive(value)
	case "retry_after":
		var n int64
		n, err = positive(value)
		f.RetryAfter = int(n)
	case "for":
		f.For, err = time.ParseDuration(value)
	case "delay":
		f.Delay, err = time.ParseDuration(value)
	default:
		err = fmt.Errorf("unknown (known: token, rate, every, after, times, for, retry_after, delay)")
	}
	return err
}

func positive(value string) (int64, error) {
	n, err := strconv.ParseInt(value, 10, 32)
	if err == nil && n < 1 {
		err = fmt.Errorf("%q is not above 0", value)
	}
	return n, err
}

// hides reports that a response with the fault is not whole.
func (f Fault) hides() bool {
	return f.Kind == "cut" || f.Kind == "blank" || f.Kind == "empty" || f.Kind == "garbage"
}

// hits decides by the request's number, so that a run with one client is the same every time.
func (f Fault) hits(number, hitsSoFar int64, token string, age time.Duration) bool {
	switch {
	case f.Token != "" && f.Token != token,
		f.After > 0 && number <= f.After,
		f.Times > 0 && hitsSoFar >= f.Times,
		f.For > 0 && age >= f.For,
		f.Every > 0 && number%f.Every != 0,
		f.Rate > 0 && unit(mix(uint64(number), uint64(len(f.Kind))+7)) >= f.Rate:
		return false
	}
	return true
}
