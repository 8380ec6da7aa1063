package dashboard

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"
	"unicode"

	"golang.org/x/time/rate"
)

// sessionCookie holds a random number, nothing else. SameSite=Strict keeps it from requests that other sites cause.
const sessionCookie = "quantbot_session"

const (
	// sessionTime is a working day.
	sessionTime = 12 * time.Hour
	maxSessions = 1000
	// An address may try five tokens at once and one every ten seconds after that; all addresses together ten a second.
	triesAtOnce   = 5
	tryEvery      = 10 * time.Second
	allTries      = 10
	maxAddresses  = 4096
	longestName   = 60
	unnamedPerson = "unnamed"
)

// visitor is who sends a request.
type visitor struct {
	// name is for the record; empty = has not logged in.
	name string
	// trusted visitors know the token.
	trusted bool
}

// sessions knows who has logged in, and limits how often tokens are tried. It lives in memory: after a restart people log
// in again.
type sessions struct {
	// wanted is the digest of the token: comparing digests takes as long for every length.
	wanted  [sha256.Size]byte
	hasOne  bool
	now     func() time.Time
	mu      sync.Mutex
	open    map[string]session
	tries   map[string]*rate.Limiter
	overall *rate.Limiter
}

type session struct {
	name string
	ends time.Time
}

func newSessions(token string, now func() time.Time) *sessions {
	return &sessions{
		wanted: sha256.Sum256([]byte(token)), hasOne: token != "", now: now, open: make(map[string]session),
		tries: make(map[string]*rate.Limiter), overall: rate.NewLimiter(allTries, allTries),
	}
}

// enabled tells whether anybody can log in.
func (s *sessions) enabled() bool { return s.hasOne }

// matches compares in constant time.
func (s *sessions) matches(token string) bool {
	given := sha256.Sum256([]byte(token))
	return s.hasOne && subtle.ConstantTimeCompare(given[:], s.wanted[:]) == 1
}

// mayTry counts a try of an address.
func (s *sessions) mayTry(address string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	limiter, ok := s.tries[address]
	if !ok {
		if len(s.tries) >= maxAddresses {
			clear(s.tries) // the overall limit still holds
		}
		limiter = rate.NewLimiter(rate.Every(tryEvery), triesAtOnce)
		s.tries[address] = limiter
	}
	now := s.now()
	return limiter.AllowN(now, 1) && s.overall.AllowN(now, 1)
}

// begin opens a session and answers its id.
func (s *sessions) begin(name string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	for id, one := range s.open {
		if s.now().After(one.ends) {
			delete(s.open, id)
		}
	}
	if len(s.open) >= maxSessions {
		clear(s.open) // somebody logs in by script: people log in again
	}
	id := rand.Text()
	s.open[id] = session{name: name, ends: s.now().Add(sessionTime)}
	return id
}

func (s *sessions) find(id string) (session, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	found, ok := s.open[id]
	return found, ok && s.now().Before(found.ends)
}

func (s *sessions) end(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.open, id)
}

// visitor tells who sends the request: by session cookie, or by "Authorization: Bearer" with the token itself. A wrong
// bearer token counts as a try.
func (d *Dashboard) visitor(r *http.Request) visitor {
	if known, ok := r.Context().Value(visitorKey{}).(visitor); ok {
		return known
	}
	if cookie, err := r.Cookie(sessionCookie); err == nil {
		if found, ok := d.sessions.find(cookie.Value); ok {
			return visitor{name: found.name, trusted: true}
		}
	}
	token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !ok || !d.sessions.enabled() {
		return visitor{}
	}
	// A right token is let in without being counted, so that scripts and Prometheus are not slowed down by others' guesses.
	if d.sessions.matches(token) {
		return visitor{name: "bearer@" + address(r), trusted: true}
	}
	return visitor{}
}

type visitorKey struct{}

// address is the peer's, without the port.
func address(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return host
}

type loginData struct {
	Next    string
	Problem string
}

func (d *Dashboard) showLogin(w http.ResponseWriter, r *http.Request) {
	d.loginForm(w, r, http.StatusOK, localPath(r.URL.Query().Get("next")), "")
}

func (d *Dashboard) loginForm(w http.ResponseWriter, r *http.Request, status int, next, problem string) {
	d.render(w, r, status, "login.html", view{Title: "Log in", Data: loginData{Next: next, Problem: problem}})
}

func (d *Dashboard) logIn(w http.ResponseWriter, r *http.Request) {
	next := localPath(r.PostFormValue("next"))
	switch {
	case !d.sessions.enabled():
		d.loginForm(w, r, http.StatusForbidden, next, "")
		return
	case !d.sessions.mayTry(address(r)):
		w.Header().Set("Retry-After", "10")
		d.loginForm(w, r, http.StatusTooManyRequests, next, "Too many tries. Wait ten seconds.")
		return
	case !d.sessions.matches(r.PostFormValue("token")):
		d.cfg.Logger.WarnContext(r.Context(), "login refused", "address", address(r))
		d.loginForm(w, r, http.StatusUnauthorized, next, "That is not the token.")
		return
	}
	http.SetCookie(w, &http.Cookie{
		Name: sessionCookie, Value: d.sessions.begin(personName(r.PostFormValue("name"), address(r))), Path: "/",
		MaxAge: int(sessionTime.Seconds()), HttpOnly: true, SameSite: http.SameSiteStrictMode,
		Secure: r.TLS != nil || r.Header.Get("X-Forwarded-Proto") == "https", // what stands in front has TLS
	})
	http.Redirect(w, r, next, http.StatusSeeOther)
}

// personName is what a visitor calls themselves and where they are; it is written beside what they do.
func personName(name, address string) string {
	name = strings.Map(func(c rune) rune {
		if c < ' ' || c == 0x7f {
			return -1
		}
		return c
	}, strings.TrimSpace(strings.ToValidUTF8(name, "")))
	if name == "" {
		name = unnamedPerson
	}
	if letters := []rune(name); len(letters) > longestName {
		name = string(letters[:longestName])
	}
	return name + "@" + address
}

func (d *Dashboard) logOut(w http.ResponseWriter, r *http.Request) {
	if cookie, err := r.Cookie(sessionCookie); err == nil {
		d.sessions.end(cookie.Value)
	}
	http.SetCookie(w, &http.Cookie{Name: sessionCookie, Path: "/", MaxAge: -1, HttpOnly: true, SameSite: http.SameSiteStrictMode})
	http.Redirect(w, r, "/", http.StatusSeeOther)
}

// localPath is where to go after logging in: a path here, never another site. Browsers drop tabs and line ends from
// addresses and take a backslash for a slash, so that each can turn a path into "//elsewhere".
func localPath(next string) string {
	strange := func(c rune) bool { return c == '\\' || unicode.IsControl(c) }
	if !strings.HasPrefix(next, "/") || strings.HasPrefix(next, "//") || strings.ContainsFunc(next, strange) {
		return "/"
	}
	return next
}
