package service

import (
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode"

	"quantbot/internal/backfill"
	"quantbot/internal/candle"
)

// StatusClass is the class of a status by the usual meaning of HTTP. Services know better about some.
func StatusClass(status int) backfill.Class {
	switch {
	case status == http.StatusTooManyRequests:
		return backfill.ClassRateLimited
	case status == http.StatusUnauthorized || status == http.StatusForbidden:
		return backfill.ClassKeyRejected
	case status == http.StatusRequestTimeout || status >= http.StatusInternalServerError:
		return backfill.ClassUnavailable
	default:
		return backfill.ClassPermanent
	}
}

// LongestPause bounds what one answer may make everybody wait. Whoever really wants to be left alone for longer says so
// again, which costs one request; a header that means something else costs no more than this.
const LongestPause = 5 * time.Minute

// RetryAfter reads Retry-After, else X-RateLimit-Reset; 0 where neither makes sense. It is at most LongestPause.
func RetryAfter(header http.Header, now time.Time) time.Duration {
	if at, err := http.ParseTime(header.Get("Date")); err == nil {
		now = at // moments are the service's own: our clock may be ahead or behind
	}
	for _, name := range []string{"Retry-After", "X-Ratelimit-Reset"} {
		if wait := ParseWait(header.Get(name), now, LongestPause); wait > 0 {
			return wait
		}
	}
	return 0
}

// ParseWait reads how long to wait from a header: seconds, as the standard has it, or a date. Services also write Unix time
// there, in seconds or milliseconds, and milliseconds: a number of seconds from 1,000,000,000 on (31 years) is a moment, and
// one that is above most and a whole second in milliseconds is of those. What is negative, past or no number is 0; the rest is
// cut at most.
func ParseWait(text string, now time.Time, most time.Duration) time.Duration {
	text = strings.TrimSpace(text)
	if at, err := http.ParseTime(text); err == nil {
		return min(max(at.Sub(now), 0), most)
	}
	number, err := strconv.ParseFloat(text, 64)
	const moment, milliMoment, latest = 1e9, 1e12, 1e13
	switch {
	case err != nil || !(number > 0) || number >= latest:
		return 0
	case number >= milliMoment:
		return min(max(time.UnixMilli(int64(number)).Sub(now), 0), most)
	case number >= moment:
		return min(max(time.Unix(int64(number), 0).Sub(now), 0), most)
	}
	if milli := number / 1_000; number > most.Seconds() && milli >= 1 && milli == math.Trunc(milli) && milli <= most.Seconds() {
		return time.Duration(milli) * time.Second
	}
	return time.Duration(min(number, most.Seconds()) * float64(time.Second))
}

// Clean makes a foreign message fit for a row, a log, an alert and the queue monitor, which show it as it is: one line of
// characters that are seen.
func Clean(message string) string {
	const most = 200
	message = candle.Printable(strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(message, "?")))
	if runes := []rune(message); len(runes) > most {
		message = string(runes[:most]) + "…"
	}
	return message
}
