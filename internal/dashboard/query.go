package dashboard

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"quantbot/internal/config"
)

// query reads the parameters of an address and gathers what is wrong with them.
type query struct {
	values   url.Values
	now      func() time.Time
	problems []string
}

func readQuery(r *http.Request, now func() time.Time) *query {
	values, err := url.ParseQuery(r.URL.RawQuery)
	q := &query{values: values, now: now}
	if err != nil {
		q.problem("the address is malformed")
	}
	return q
}

func (q *query) problem(format string, args ...any) {
	q.problems = append(q.problems, fmt.Sprintf(format, args...))
}

// err is a 400 that names every bad parameter, or nil.
func (q *query) err() error {
	if len(q.problems) == 0 {
		return nil
	}
	return badRequest("%s.", strings.Join(q.problems, "; "))
}

// longestText is more than any token address, commit or e-mail address has.
const longestText = 200

// text reads a free text, trimmed.
func (q *query) text(name string) string {
	value := strings.TrimSpace(q.values.Get(name))
	if len(value) > longestText || !utf8.ValidString(value) || strings.ContainsRune(value, 0) {
		q.problem("%s must be a text of at most %d characters", name, longestText)
		return ""
	}
	return value
}

// oneOf reads one of the known values, or nothing.
func (q *query) oneOf(name string, known ...string) string {
	value := q.text(name)
	if value != "" && !slices.Contains(known, value) {
		q.problem("%s must be one of %s", name, strings.Join(known, ", "))
		return ""
	}
	return value
}

// number reads a whole number within [1, most].
func (q *query) number(name string, missing, most int) int {
	text := q.text(name)
	if text == "" {
		return missing
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > most {
		q.problem("%s must be a whole number between 1 and %d", name, most)
		return missing
	}
	return n
}

// time reads a moment as the command line does: 2024-01-01, RFC 3339, or relative such as -7d. Nothing is the zero time.
func (q *query) time(name string) time.Time {
	text := q.text(name)
	if text == "" {
		return time.Time{}
	}
	at, err := config.ParseTime(text, q.now())
	if err != nil {
		q.problem("%s must be a time such as 2025-01-31, 2025-01-31T12:00:00Z or -7d", name)
	}
	return at
}

// encodeQuery makes the part of an address behind the question mark; empty values are left out.
func encodeQuery(values map[string]string) string {
	encoded := url.Values{}
	for name, value := range values {
		if value != "" {
			encoded.Set(name, value)
		}
	}
	return encoded.Encode()
}
