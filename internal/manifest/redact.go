package manifest

import (
	"net/url"
	"regexp"
	"strings"
)

var (
	urlScheme   = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9+.-]*$`)
	embeddedURL = regexp.MustCompile(`[A-Za-z][A-Za-z0-9+.-]*://[^\s'"` + "`" + `]+`)
	// embeddedPair finds the secrets of connection strings (password=…). A bare "token" is not among the names: in this
	// project's arguments and SQL it is the address of a coin.
	embeddedPair = regexp.MustCompile(
		`(?i)\b(password|passwd|pwd|secret|api_?key|access_token|motherduck_token)(\s*=\s*['"]?)[^\s'"&;,]+`)
	secretParameter = regexp.MustCompile(`(?i)pass|pwd|secret|token|key|auth|signature|\bsig\b|credential`)
)

// Redact returns text without the secrets in it: in URLs, as RedactURL has it, and in pairs such as password=….
func Redact(text string) string {
	if !strings.ContainsAny(text, "=:") {
		return text
	}
	if looksLikeURL(text) {
		return RedactURL(text)
	}
	text = embeddedURL.ReplaceAllStringFunc(text, RedactURL)
	return embeddedPair.ReplaceAllString(text, "${1}${2}"+Redacted)
}

func looksLikeURL(text string) bool {
	scheme, _, ok := strings.Cut(text, "://")
	return ok && urlScheme.MatchString(scheme)
}

// RedactURL returns a URL or DSN without its secrets: redis://user:pw@host becomes redis://user:***@host. Query
// parameters with a secret's name, a fragment, and a user without a password (often a token) are hidden too. What cannot
// be taken apart with certainty, such as a password with an unescaped slash, becomes *** as a whole. Several hosts, as
// Sentinel and ClickHouse have them, are fine.
func RedactURL(raw string) string {
	if !looksLikeURL(raw) {
		return Redacted
	}
	scheme, rest, _ := strings.Cut(raw, "://")
	end := strings.IndexAny(rest, "/?#")
	if end < 0 {
		end = len(rest)
	}
	authority, tail := rest[:end], rest[end:]
	at := strings.LastIndex(authority, "@")
	hosts := authority[at+1:]
	if strings.Contains(tail, "@") || !validHosts(hosts) {
		return Redacted
	}
	return scheme + "://" + redactUser(authority[:at+1]) + hosts + redactTail(tail)
}

// validHosts guards against taking a piece of a password for a host: each must be one that net/url accepts.
func validHosts(hosts string) bool {
	for host := range strings.SplitSeq(hosts, ",") {
		if _, err := url.Parse("x://" + host); err != nil {
			return false
		}
	}
	return true
}

// redactUser takes the userinfo with its @, or "".
func redactUser(userinfo string) string {
	if userinfo == "" {
		return ""
	}
	user, _, hasPassword := strings.Cut(userinfo, ":")
	if !hasPassword {
		return Redacted + "@"
	}
	return user + ":" + Redacted + "@"
}

func redactTail(tail string) string {
	tail, fragment, _ := strings.Cut(tail, "#")
	path, query, hasQuery := strings.Cut(tail, "?")
	if hasQuery {
		path += "?" + redactQuery(query)
	}
	if fragment != "" {
		path += "#" + Redacted
	}
	return path
}

// redactQuery works on the raw text, not on url.Values, so that what is not secret stays as it was written.
func redactQuery(query string) string {
	pairs := strings.Split(query, "&")
	for i, pair := range pairs {
		name, value, _ := strings.Cut(pair, "=")
		plain, err := url.QueryUnescape(name)
		if value != "" && (err != nil || secretParameter.MatchString(plain)) {
			pairs[i] = name + "=" + Redacted
		}
	}
	return strings.Join(pairs, "&")
}

// redactArgs returns the arguments with Redact applied to every string in them.
func redactArgs(args map[string]any) map[string]any {
	redacted := make(map[string]any, len(args))
	for name, value := range args {
		redacted[name] = redactArg(value)
	}
	return redacted
}

func redactArg(value any) any {
	switch v := value.(type) {
	case string:
		return Redact(v)
	case []string:
		redacted := make([]string, len(v))
		for i, s := range v {
			redacted[i] = Redact(s)
		}
		return redacted
	case []any:
		redacted := make([]any, len(v))
		for i, element := range v {
			redacted[i] = redactArg(element)
		}
		return redacted
	case map[string]any:
		return redactArgs(v)
	default:
		return v
	}
}
