package dashboard

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"maps"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"time"
	"unicode"

	"golang.org/x/time/rate"

	"quantbot/internal/candle"
)

// sessionCookie holds a random number, nothing else. SameSite=Strict keeps it from requests that other sites cause.
const sessionCookie = "quantbot_session"

const (
	// sessionTime is a working day.
	sessionTime = 12 * time.Hour
	maxSessions = 1000
	// A client may be wrong five times at once and once every ten seconds after that; all that were never right together ten
	// times a second.
	triesAtOnce = 5
	tryEvery    = 10 * time.Second
	allTries    = 10
	// maxClients bounds the memory: a client costs about 200 bytes.
	maxClients    = 4096
	longestName   = 60
	unnamedPerson = "unnamed"
)

// visitor is who sends a request.
type visitor struct {
	// name is for the record; empty = has not logged in.
	name string
	// trusted visitors know the token.
	trusted bool
	// unheard visitors gave a token that was not looked at: too many were wrong.
	unheard bool
}

// sessions knows who has logged in, and limits how often tokens are tried. It lives in memory: after a restart people log
// in again.
type sessions struct {
	// wanted is the digest of the token: comparing digests takes as long for every length.
	wanted [sha256.Size]byte
	hasOne bool
	now    func() time.Time
	mu     sync.Mutex
	open   map[string]session
	// tickets log in once each: who comes with one gets a session of this name.
	tickets map[string]string
	clients map[string]*client
	overall *rate.Limiter
}

// client is who tries tokens from one address.
type client struct {
	// mistakes is what is left of the wrong tokens that are listened to.
	mistakes *rate.Limiter
	// wasRight clients do not wait for the mistakes of others.
	wasRight bool
}

type session struct {
	name string
	ends time.Time
}

func newSessions(token string, now func() time.Time) *sessions {
	return &sessions{
		wanted: sha256.Sum256([]byte(token)), hasOne: token != "", now: now, open: make(map[string]session),
		tickets: make(map[string]string), clients: make(map[string]*client), overall: rate.NewLimiter(allTries, allTries),
	}
}

// enabled reports whether anybody can log in.
func (s *sessions) enabled() bool { return s.hasOne }

// matches compares in constant time.
func (s *sessions) matches(token string) bool {
	given := sha256.Sum256([]byte(token))
	return s.hasOne && subtle.ConstantTimeCompare(given[:], s.wanted[:]) == 1
}

// try asks whether the token of a client is the right one. A client that was wrong too often is not listened to, not even
// when it is right: else guesses would cost nothing but their number. Only wrong tokens count, so scripts that know the token
// are let in at any pace.
func (s *sessions) try(address, token string) (right, listened bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	one := s.client(address, now)
	if one.mistakes.TokensAt(now) < 1 || (!one.wasRight && s.overall.TokensAt(now) < 1) {
		return false, false
	}
	if s.matches(token) {
		one.wasRight = true
		return true, true
	}
	one.mistakes.AllowN(now, 1)
	s.overall.AllowN(now, 1)
	return false, true
}

// client finds or makes the record of an address. When there are too many, those that have nothing to be remembered for go;
// when all have, all go: the limit for all together still holds.
func (s *sessions) client(address string, now time.Time) *client {
	if found, ok := s.clients[address]; ok {
		return found
	}
	if len(s.clients) >= maxClients {
		maps.DeleteFunc(s.clients, func(_ string, c *client) bool { return !c.wasRight && c.mistakes.TokensAt(now) >= triesAtOnce })
	}
	if len(s.clients) >= maxClients {
		clear(s.clients)
	}
	made := &client{mistakes: rate.NewLimiter(rate.Every(tryEvery), triesAtOnce)}
	s.clients[address] = made
	return made
}

// begin opens a session and returns its id.
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

// ticket makes a way to log in once without the token.
func (s *sessions) ticket(name string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	made := rand.Text()
	s.tickets[made] = name
	return made
}

// redeem uses a ticket up.
func (s *sessions) redeem(ticket string) (name string, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	name, ok = s.tickets[ticket]
	delete(s.tickets, ticket)
	return name, ok
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

// visitor reports who sends the request: by session cookie, or by "Authorization: Bearer" with the token itself. A wrong
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
	right, listened := d.sessions.try(clientAddress(r), token)
	if right {
		return visitor{name: "bearer@" + address(r), trusted: true}
	}
	return visitor{unheard: !listened}
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

// clientAddress is what tries are counted by: the peer's address, and of an IPv6 address the network, which is one
// client's as a rule.
func clientAddress(r *http.Request) string {
	ip, err := netip.ParseAddr(address(r))
	if err != nil {
		return address(r)
	}
	ip = ip.Unmap().WithZone("")
	if ip.Is6() {
		if network, err := ip.Prefix(64); err == nil {
			return network.String()
		}
	}
	return ip.String()
}

type loginData struct {
	Next    string
	Problem string
}

// LoginOnce is the path of a page that logs its first visitor in, under this name. It is for whoever started the dashboard and
// should not have to type the token.
func (d *Dashboard) LoginOnce(name string) string {
	return "/login?" + url.Values{onceParameter: {d.sessions.ticket(name)}}.Encode()
}

const onceParameter = "once"

func (d *Dashboard) showLogin(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	next := localPath(query.Get("next"))
	if !query.Has(onceParameter) || r.Method != http.MethodGet { // who only looks whether the page is there does not use it up
		d.loginForm(w, r, http.StatusOK, next, "")
		return
	}
	name, ok := d.sessions.redeem(query.Get(onceParameter))
	if !ok {
		d.loginForm(w, r, http.StatusUnauthorized, next, "That address has logged somebody in already: it works once.")
		return
	}
	d.openSession(w, r, name)
	http.Redirect(w, r, next, http.StatusSeeOther)
}

// openSession logs the visitor in.
func (d *Dashboard) openSession(w http.ResponseWriter, r *http.Request, name string) {
	http.SetCookie(w, &http.Cookie{
		Name: sessionCookie, Value: d.sessions.begin(name), Path: "/", MaxAge: int(sessionTime.Seconds()), HttpOnly: true, SameSite: http.SameSiteStrictMode,
		Secure: r.TLS != nil || r.Header.Get("X-Forwarded-Proto") == "https", // what stands in front has TLS
	})
}

func (d *Dashboard) loginForm(w http.ResponseWriter, r *http.Request, status int, next, problem string) {
	d.render(w, r, status, "login.html", view{Title: "Log in", Data: loginData{Next: next, Problem: problem}})
}

func (d *Dashboard) logIn(w http.ResponseWriter, r *http.Request) {
	next := localPath(r.PostFormValue("next"))
	if !d.sessions.enabled() {
		d.loginForm(w, r, http.StatusForbidden, next, "")
		return
	}
	right, listened := d.sessions.try(clientAddress(r), r.PostFormValue("token"))
	switch {
	case !listened:
		w.Header().Set("Retry-After", "10")
		d.loginForm(w, r, http.StatusTooManyRequests, next, "Too many tries. Wait ten seconds.")
		return
	case !right:
		d.cfg.Logger.WarnContext(r.Context(), "login refused", "address", address(r))
		d.loginForm(w, r, http.StatusUnauthorized, next, "That is not the token.")
		return
	}
	d.openSession(w, r, personName(r.PostFormValue("name"), address(r)))
	http.Redirect(w, r, next, http.StatusSeeOther)
}

// personName is what a visitor calls themselves and where they are; it is written beside what they do.
func personName(name, address string) string {
	name = candle.Printable(strings.Map(func(c rune) rune {
		if unicode.IsControl(c) {
			return -1
		}
		return c
	}, strings.TrimSpace(strings.ToValidUTF8(name, ""))))
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
