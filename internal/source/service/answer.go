package service

import (
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode"

	"quantbot/internal/backfill"
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

// RetryAfter reads Retry-After, in seconds or as a date, else X-RateLimit-Reset in Unix seconds; 0 without either. It is
// at most an hour.
func RetryAfter(header http.Header, now time.Time) time.Duration {
	const most = time.Hour
	text := header.Get("Retry-After")
	if seconds, err := strconv.Atoi(text); err == nil {
		return min(max(time.Duration(seconds)*time.Second, 0), most)
	}
	if at, err := http.ParseTime(text); err == nil {
		return min(max(at.Sub(now), 0), most)
	}
	if reset, err := strconv.ParseInt(header.Get("X-Ratelimit-Reset"), 10, 64); err == nil {
		return min(max(time.Unix(reset, 0).Sub(now), 0), most)
	}
	return 0
}

// Clean makes a foreign message fit for a row and a log.
func Clean(message string) string {
	const most = 200
	message = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(message, "?"))
	if runes := []rune(message); len(runes) > most {
		message = string(runes[:most]) + "…"
	}
	return message
}
