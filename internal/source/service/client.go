// Package service is what the clients of market-data services share: one request at a time, within the budget of an
// account, bounded in time and size, and every error in its class.
package service

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"time"

	"quantbot/internal/backfill"
	"quantbot/internal/manifest"
)

// Budget is how fast an account may be asked. All that use the account share it.
type Budget interface {
	// Wait returns when a request of this weight may be sent. It returns ctx's error, or one of ClassParked while the
	// account is parked.
	Wait(ctx context.Context, weight int) error
	// Slow makes everybody pause after the service said that it was asked too fast; 0 = as long as the budget thinks fit.
	Slow(ctx context.Context, pause time.Duration)
	// Park leaves the account alone for so long: its quota is used up.
	Park(ctx context.Context, pause time.Duration)
}

// Account is what a service counts requests by.
type Account struct {
	// Key is sent by Config.Authorize and goes nowhere else; empty where a service wants none.
	Key    string
	Budget Budget
	// Sent, when set, hears of every request that was sent: its status, or 0 without a whole answer, and how long it took.
	Sent func(status int, took time.Duration)
	// Sending, when set, hears that a request is about to be sent; what it returns hears whether a whole answer came back.
	Sending func() (back func(answered bool))
}

// Config configures a Client.
type Config struct {
	// Name is the source's name, for messages.
	Name     string
	Accounts []Account
	// Authorize puts the key into the request's headers; nil where a service wants none.
	Authorize func(header http.Header, key string)
	// Failure reads an answer whose status is not 200: the class of the error and the service's own words, if it has any.
	// retryAfter is what the usual headers say; it may be replaced.
	Failure func(status int, header http.Header, body []byte, retryAfter time.Duration) Failure
	// Secrets are, beside the accounts' keys, what no text of the service may carry on.
	Secrets   []string
	UserAgent string
	// Timeout covers one request with its body; 0 = DefaultTimeout.
	Timeout time.Duration
	// Concurrency is how many requests are under way at once; that many idle connections are kept.
	Concurrency int
	Logger      *slog.Logger
	Now         func() time.Time
}

// Failure is what an answer other than 200 means.
type Failure struct {
	Class   backfill.Class
	Message string
	// Foreign says that the response is not in the service's own form: something between us and the service may have answered,
	// which knows nothing about the chunk or the key.
	Foreign bool
	// RetryAfter is how long to leave the account alone, for ClassRateLimited and ClassParked; 0 = as the budget thinks fit.
	RetryAfter time.Duration
}

const (
	// DefaultTimeout covers a full page of any service.
	DefaultTimeout = 30 * time.Second
	// smallBody is more than any answer takes that has no candles, an error in HTML included.
	smallBody = 64 << 10
	// maxHeader bounds the header of an answer.
	maxHeader = 64 << 10
	// setAside is how long a rejected key is not tried again.
	setAside = 10 * time.Minute
)

// Client sends the requests of one service. It is safe for concurrent use.
type Client struct {
	cfg     Config
	http    *http.Client
	secrets manifest.Secrets

	mu       sync.Mutex
	next     int
	rejected []rejection // by account
}

type rejection struct {
	until time.Time
	err   error
}

// NewClient returns a client of at least one account.
func NewClient(cfg Config) *Client {
	if cfg.Timeout == 0 {
		cfg.Timeout = DefaultTimeout
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxIdleConnsPerHost = max(cfg.Concurrency, 2)
	transport.ResponseHeaderTimeout, transport.MaxResponseHeaderBytes = cfg.Timeout, maxHeader
	client := &http.Client{
		Transport: transport, Timeout: cfg.Timeout,
		// The key goes to the host that the operator named and nowhere else, and no other host's answer counts.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return &Client{cfg: cfg, http: client, secrets: manifest.NewSecrets(cfg.secrets()...), rejected: make([]rejection, len(cfg.Accounts))}
}

// secrets are what the service is sent and may repeat.
func (c Config) secrets() []string {
	secrets := slices.Clone(c.Secrets)
	for _, account := range c.Accounts {
		secrets = append(secrets, account.Key)
	}
	return secrets
}

// CloseIdleConnections closes connections that nothing uses.
func (c *Client) CloseIdleConnections() { c.http.CloseIdleConnections() }

// Request is a question.
type Request struct {
	Address string
	Header  http.Header
	// Weight is what it costs of the budget.
	Weight int
	// MaxBody bounds the answer in bytes by what was asked for; see MaxBody. 0 = an answer without candles.
	MaxBody int64
}

// MaxBody is how long an answer of so many candles may be, each of at most so many bytes on average.
func MaxBody(candles, each int64) int64 { return smallBody + candles*each }

// Answer is a successful answer.
type Answer struct {
	Body   []byte
	Header http.Header
}

// At is when the service made the answer by its own clock; zero where it does not say.
func (a Answer) At() time.Time {
	at, err := http.ParseTime(a.Header.Get("Date"))
	if err != nil {
		return time.Time{}
	}
	return at.UTC()
}

// Get asks. calls is how many requests it sent: a key that is rejected or whose
// quota is used up gives way to the next. The error has a class and does not name the URL, which may hold a password.
func (c *Client) Get(ctx context.Context, question Request) (answer Answer, calls int64, err error) {
	var last error
	for range c.cfg.Accounts {
		index, err := c.pick()
		if err != nil {
			return Answer{}, calls, err
		}
		account := c.cfg.Accounts[index]
		if err := account.Budget.Wait(ctx, question.Weight); err != nil {
			if last = err; backfill.ClassOf(err) == backfill.ClassParked {
				continue
			}
			return Answer{}, calls, fmt.Errorf("wait for the rate limit: %w", contextError(ctx, err))
		}
		calls++
		answer, err := c.send(ctx, question, account)
		if err == nil {
			return answer, calls, nil
		}
		last = err
		switch backfill.ClassOf(err) {
		case backfill.ClassRateLimited:
			account.Budget.Slow(ctx, backfill.RetryAfter(err))
			return Answer{}, calls, err
		case backfill.ClassParked:
			account.Budget.Park(ctx, backfill.RetryAfter(err))
		case backfill.ClassKeyRejected:
			c.reject(ctx, index, err)
		default:
			return Answer{}, calls, err
		}
	}
	return Answer{}, calls, last
}

// pick takes turns among the accounts whose key is not rejected.
func (c *Client) pick() (index int, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.cfg.Now()
	for range c.cfg.Accounts {
		index, c.next = c.next, (c.next+1)%len(c.cfg.Accounts)
		if r := c.rejected[index]; r.err == nil || now.After(r.until) {
			return index, nil
		}
		err = c.rejected[index].err
	}
	return 0, err
}

// reject sets a key aside, where there are others. It is named by its position, never by its value. The only key is asked
// with again: its answer may be about this one question.
func (c *Client) reject(ctx context.Context, index int, err error) {
	if len(c.cfg.Accounts) == 1 {
		return
	}
	c.cfg.Logger.WarnContext(ctx, "API key rejected, set aside", "source", c.cfg.Name, "key", index+1, "keys", len(c.cfg.Accounts), "err", err)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.rejected[index] = rejection{until: c.cfg.Now().Add(setAside), err: err}
}

// send returns the body of a successful answer, or an error with its class.
func (c *Client) send(ctx context.Context, question Request, account Account) (Answer, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, question.Address, nil)
	if err != nil {
		return Answer{}, backfill.WithClass(backfill.ClassPermanent, errors.New("build the request: the base URL is not usable"))
	}
	for name, values := range question.Header {
		request.Header[name] = values
	}
	request.Header.Set("User-Agent", c.cfg.UserAgent) // without one, services answer 403
	if c.cfg.Authorize != nil {
		c.cfg.Authorize(request.Header, account.Key)
	}
	status, answered := 0, false
	if account.Sending != nil {
		back := account.Sending()
		defer func() { back(answered) }()
	}
	if account.Sent != nil {
		began := c.cfg.Now()
		defer func() { account.Sent(status, c.cfg.Now().Sub(began)) }()
	}
	response, err := c.http.Do(request)
	if err != nil {
		return Answer{}, c.transportError(ctx, err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		body, err := readBody(response, smallBody)
		if err != nil {
			return Answer{}, c.transportError(ctx, err)
		}
		status, answered = response.StatusCode, true
		body = c.secrets.RedactBytes(body[:min(len(body), smallBody)]) // what is longer is none of the service's own
		return Answer{}, c.failure(response, body)
	}
	most := max(question.MaxBody, smallBody)
	body, err := readBody(response, most)
	if err != nil {
		return Answer{}, c.transportError(ctx, err)
	}
	answered = true
	if int64(len(body)) > most {
		return Answer{}, backfill.WithClass(backfill.ClassUnavailable, fmt.Errorf("the answer is longer than %d kB, more than what was asked for can take", most>>10))
	}
	status = response.StatusCode
	return Answer{Body: c.secrets.RedactBytes(body), Header: response.Header}, nil
}

// readBody reads up to one byte more than most. A body whose length the service names is read into one piece of memory:
// one that grows is copied a dozen times.
func readBody(response *http.Response, most int64) ([]byte, error) {
	var body bytes.Buffer
	if length := response.ContentLength; length > 0 {
		body.Grow(int(min(length, most)) + bytes.MinRead)
	}
	_, err := body.ReadFrom(io.LimitReader(response.Body, most+1))
	return body.Bytes(), err
}

func (c *Client) failure(response *http.Response, body []byte) error {
	if response.StatusCode >= 300 && response.StatusCode <= 399 {
		return c.redirectError(response)
	}
	f := c.cfg.Failure(response.StatusCode, response.Header, body, RetryAfter(response.Header, c.cfg.Now()))
	if f.Foreign && (f.Class == backfill.ClassPermanent || f.Class == backfill.ClassKeyRejected) {
		f.Class = backfill.ClassUnavailable
	}
	err := fmt.Errorf("HTTP %d: %s", response.StatusCode, Clean(f.Message))
	if f.Message == "" {
		err = fmt.Errorf("HTTP %d %s", response.StatusCode, http.StatusText(response.StatusCode))
	}
	return &backfill.ClassError{Class: f.Class, RetryAfter: f.RetryAfter, Err: err}
}

// redirectError names the host that an answer points at: the rest of its URL may repeat what was asked. Something between
// us and the service may have answered, so it says nothing about the chunk.
func (c *Client) redirectError(response *http.Response) error {
	host := "no host"
	if target, err := response.Location(); err == nil && target.Host != "" {
		host = Clean(c.secrets.Redact(target.Host))
	}
	return backfill.WithClass(backfill.ClassUnavailable,
		fmt.Errorf("HTTP %d: it redirects to %s, and redirects are not followed: set the base URL of the host that answers itself", response.StatusCode, host))
}

// transportError drops the URL from the error, which net/http puts there: the chunk names what was asked already, and a
// base URL may hold a password. A broken header is quoted, for example, and may repeat the key.
func (c *Client) transportError(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if wrapped, ok := errors.AsType[*url.Error](err); ok {
		err = wrapped.Err
	}
	return backfill.WithClass(backfill.ClassUnavailable, fmt.Errorf("no whole answer: %w", c.secrets.Error(err)))
}

// contextError distinguishes an interruption from a fault of the service.
func contextError(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}
