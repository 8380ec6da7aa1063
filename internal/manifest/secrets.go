package manifest

import (
	"bytes"
	"cmp"
	"encoding/json"
	"io"
	"net/url"
	"slices"
	"strings"
)

// shortestSecret is below which a secret is not looked for in texts: it would be found in every other word.
const shortestSecret = 6

// Secrets finds secrets in texts of others: services repeat what they were sent, as it is or escaped for a URL or for JSON.
// The zero value knows none.
type Secrets struct {
	forms []string // the longest first: one form may be part of another
}

// NewSecrets knows these values.
func NewSecrets(values ...string) Secrets {
	var s Secrets
	for _, value := range values {
		if len(value) < shortestSecret {
			continue
		}
		for _, form := range forms(value) {
			if !slices.Contains(s.forms, form) {
				s.forms = append(s.forms, form)
			}
		}
	}
	slices.SortFunc(s.forms, func(a, b string) int { return cmp.Compare(len(b), len(a)) })
	return s
}

// forms are how a value may be written: as it is, in a URL's query and path, with escapes in either case, and in JSON.
func forms(value string) []string {
	query, path := url.QueryEscape(value), url.PathEscape(value)
	html, _ := json.Marshal(value) // a string always can be
	var plain bytes.Buffer
	encoder := json.NewEncoder(&plain)
	encoder.SetEscapeHTML(false)
	_ = encoder.Encode(value) // writing to memory never fails
	return []string{
		value, query, path, lowerEscapes(query), lowerEscapes(path),
		strings.Trim(string(html), `"`), strings.Trim(strings.TrimSpace(plain.String()), `"`),
		strings.ReplaceAll(value, "/", `\/`), // as some write JSON
	}
}

// lowerEscapes writes %2F as %2f.
func lowerEscapes(text string) string {
	bytes := []byte(text)
	for i := 0; i+2 < len(bytes); i++ {
		if bytes[i] == '%' {
			copy(bytes[i+1:i+3], strings.ToLower(string(bytes[i+1:i+3])))
		}
	}
	return string(bytes)
}

// Redact returns the text without the secrets.
func (s Secrets) Redact(text string) string {
	for _, form := range s.forms {
		text = strings.ReplaceAll(text, form, Redacted)
	}
	return text
}

// RedactBytes is Redact; a text without secrets, which nearly all are, is returned as it is.
func (s Secrets) RedactBytes(text []byte) []byte {
	for _, form := range s.forms {
		if bytes.Contains(text, []byte(form)) {
			text = bytes.ReplaceAll(text, []byte(form), []byte(Redacted))
		}
	}
	return text
}

// Error returns the error with a text without the secrets. What it wraps can be found as before.
func (s Secrets) Error(err error) error {
	if err == nil {
		return nil
	}
	before := err.Error()
	if text := s.Redact(before); text != before {
		return &redactedError{text, err}
	}
	return err
}

type redactedError struct {
	text string
	err  error
}

func (e *redactedError) Error() string { return e.text }
func (e *redactedError) Unwrap() error { return e.err }

// Writer redacts what is written to w. A secret that is cut between two writes is not found: logs and messages come whole.
func (s Secrets) Writer(w io.Writer) io.Writer { return redactingWriter{s, w} }

type redactingWriter struct {
	secrets Secrets
	w       io.Writer
}

// Write implements io.Writer. It counts what it was given.
func (r redactingWriter) Write(text []byte) (int, error) {
	if _, err := r.w.Write(r.secrets.RedactBytes(text)); err != nil {
		return 0, err
	}
	return len(text), nil
}
