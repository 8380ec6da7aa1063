package alert

import (
	"bytes"
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"syscall"
	"time"
	"unicode"

	"github.com/google/uuid"
)

// The headers of a delivery.
const (
	// EventHeader holds the event's id, for receivers that ignore what they have seen.
	EventHeader = "Quantbot-Event-Id"
	// SignatureHeader holds t=<Unix seconds>,v1=<hex HMAC-SHA256 of "<t>.<body>" under the shared secret>.
	SignatureHeader = "Quantbot-Signature"
)

const (
	// DefaultTimeout covers one delivery.
	DefaultTimeout = 10 * time.Second
	// maxAnswer is how much of an answer is read, and maxShown how much of it is shown.
	maxAnswer = 4 << 10
	maxShown  = 200
)

// Webhook delivers events to one URL.
type Webhook struct {
	address   string
	secret    string
	userAgent string
	slack     bool
	client    *http.Client
	now       func() time.Time
}

// WebhookConfig configures a Webhook.
type WebhookConfig struct {
	// URL is http or https; it is a secret, because chat services put the credential into it.
	URL string
	// Secret signs deliveries; empty = they are not signed.
	Secret    string
	UserAgent string
	// Timeout covers one delivery; 0 = DefaultTimeout.
	Timeout time.Duration
	Now     func() time.Time
}

// NewWebhook returns a webhook. Its error does not name the URL.
func NewWebhook(cfg WebhookConfig) (*Webhook, error) {
	u, err := url.Parse(cfg.URL)
	if err != nil || u.Hostname() == "" || (u.Scheme != "http" && u.Scheme != "https") {
		return nil, errors.New("the webhook's URL is not an http:// or https:// URL")
	}
	if cfg.Timeout == 0 {
		cfg.Timeout = DefaultTimeout
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxIdleConns, transport.MaxResponseHeaderBytes = 1, 64<<10
	return &Webhook{
		address: cfg.URL, secret: cfg.Secret, userAgent: cfg.UserAgent, slack: isSlack(u), now: cfg.Now,
		client: &http.Client{
			Transport: transport, Timeout: cfg.Timeout,
			// A signed message goes where the operator said and nowhere else.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}, nil
}

// isSlack reports whether the URL is one of Slack's own incoming webhooks. Services that speak its format elsewhere take
// the text and ignore other fields.
func isSlack(u *url.URL) bool {
	host := strings.ToLower(u.Hostname())
	return host == "hooks.slack.com" || host == "hooks.slack-gov.com"
}

// Close closes idle connections.
func (w *Webhook) Close() { w.client.CloseIdleConnections() }

// Receipt is what came back.
type Receipt struct {
	Status int `json:"status"`
	// Answer is the begin of the body, on one line, without anything of the URL.
	Answer string        `json:"answer"`
	Took   time.Duration `json:"took_ns"`
}

// RefusedError says that the receiver responded with another status than 2xx.
type RefusedError struct {
	Receipt Receipt
	// RetryAfter is how long the receiver wants to be left alone; 0 = it did not say.
	RetryAfter time.Duration
	// Host is where a redirect leads, without the rest of its URL; empty = it does not say.
	Host string
}

// Error names the status and the begin of the answer.
func (e *RefusedError) Error() string {
	status := fmt.Sprintf("HTTP %d %s", e.Receipt.Status, http.StatusText(e.Receipt.Status))
	switch {
	case e.Receipt.Status >= 300 && e.Receipt.Status <= 399:
		return status + ": it redirects to " + cmp.Or(e.Host, "no host") + ", and redirects are not followed: set the URL that takes messages itself"
	case e.Receipt.Answer != "":
		return status + ": " + e.Receipt.Answer
	}
	return status
}

// Deliver sends the event once. A *RefusedError says that the receiver did not take it. No error names the URL.
func (w *Webhook) Deliver(ctx context.Context, e Event) (Receipt, error) {
	body, err := w.encode(e)
	if err != nil {
		return Receipt{}, fmt.Errorf("encode event %s: %w", e.ID, err)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, w.address, bytes.NewReader(body))
	if err != nil {
		return Receipt{}, errors.New("build the request: the webhook's URL is not usable")
	}
	began := w.now()
	request.Header.Set("Content-Type", "application/json; charset=utf-8")
	request.Header.Set("User-Agent", w.userAgent)
	request.Header.Set(EventHeader, e.ID.String())
	if w.secret != "" {
		request.Header.Set(SignatureHeader, Sign(w.secret, began, body))
	}
	response, err := w.client.Do(request)
	if err != nil {
		return Receipt{}, w.transportError(ctx, err)
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	receipt := Receipt{Status: response.StatusCode, Answer: w.clean(string(answer)), Took: w.now().Sub(began)}
	if response.StatusCode < 200 || response.StatusCode > 299 {
		return receipt, &RefusedError{Receipt: receipt, RetryAfter: retryAfter(response.Header), Host: w.redirectHost(response)}
	}
	if err != nil { // the status alone does not prove that the receiver has all of it
		return receipt, w.transportError(ctx, err)
	}
	return receipt, nil
}

// Reach checks that the receiver's host responds, and sends it no message. No error names the URL.
func (w *Webhook) Reach(ctx context.Context) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodHead, w.address, nil)
	if err != nil {
		return errors.New("build the request: the webhook's URL is not usable")
	}
	request.Header.Set("User-Agent", w.userAgent)
	response, err := w.client.Do(request)
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return errors.New("the webhook's host does not answer")
	}
	if err != nil {
		return w.transportError(ctx, err)
	}
	return response.Body.Close() // any answer is one
}

// redirectHost names the host that an answer points at: the rest of its URL may repeat ours.
func (w *Webhook) redirectHost(response *http.Response) string {
	target, err := response.Location()
	if err != nil {
		return ""
	}
	return w.clean(target.Host)
}

// encode writes the event for the receiver. Slack refuses what it does not know and has a place for fields of others.
func (w *Webhook) encode(e Event) ([]byte, error) {
	if !w.slack {
		return json.Marshal(e)
	}
	var payload any = e
	if len(e.Events) > 0 { // whole, they would be too much for the field
		ids := make([]uuid.UUID, len(e.Events))
		for i := range e.Events {
			ids[i] = e.Events[i].ID
		}
		payload = map[string]any{"event_id": e.ID, "event_ids": ids}
	}
	return json.Marshal(map[string]any{
		"text":     slackEscaper.Replace(e.Text),
		"metadata": map[string]any{"event_type": "quantbot_" + string(e.Kind), "event_payload": payload},
	})
}

// slackEscaper keeps texts of others, such as a service's error, from becoming links and mentions.
var slackEscaper = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;")

// Sign is the signature header's value for a body sent at a moment.
func Sign(secret string, at time.Time, body []byte) string {
	seconds := strconv.FormatInt(at.Unix(), 10)
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(seconds + "."))
	mac.Write(body)
	return "t=" + seconds + ",v1=" + hex.EncodeToString(mac.Sum(nil))
}

// transportError says in our own words why there was no answer: the words of the network name the address.
func (w *Webhook) transportError(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	var dns *net.DNSError
	var certificate *tls.CertificateVerificationError
	var timeout interface{ Timeout() bool }
	switch {
	case errors.As(err, &timeout) && timeout.Timeout():
		return fmt.Errorf("no answer within %s", w.client.Timeout)
	case errors.As(err, &dns):
		return errors.New("its host is not known")
	case errors.As(err, &certificate):
		return errors.New("its certificate is not trusted")
	case errors.Is(err, syscall.ECONNREFUSED):
		return errors.New("connection refused: nothing listens there")
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return errors.New("the connection was cut before the answer was whole")
	}
	return errors.New("no connection")
}

// clean makes one short line of an answer and takes out what is of the URL: some services echo it.
func (w *Webhook) clean(answer string) string {
	answer = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == unicode.ReplacementChar {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(answer, ""))
	answer = strings.Join(strings.Fields(answer), " ")
	for _, part := range secretParts(w.address) {
		answer = strings.ReplaceAll(answer, part, "***")
	}
	if len(answer) > maxShown {
		answer = strings.ToValidUTF8(answer[:maxShown], "") + "…"
	}
	return answer
}

// shortestSecret is the length from which on a part of the URL may be a credential.
const shortestSecret = 6

// secretParts are the URL and those of its parts that may be a credential, the longest first.
func secretParts(address string) []string {
	u, err := url.Parse(address)
	if err != nil {
		return []string{address}
	}
	candidates := append([]string{address, u.RequestURI(), u.Path}, strings.Split(u.Path, "/")...)
	for _, values := range u.Query() {
		candidates = append(candidates, values...)
	}
	if password, ok := u.User.Password(); ok {
		candidates = append(candidates, password)
	}
	var parts []string
	for _, c := range append(candidates, u.User.Username()) {
		if len(c) >= shortestSecret {
			parts = append(parts, c, url.QueryEscape(c))
		}
	}
	return parts
}

// maxRetryAfter bounds what a receiver may ask for.
const maxRetryAfter = time.Hour

func retryAfter(header http.Header) time.Duration {
	seconds, err := strconv.Atoi(header.Get("Retry-After"))
	if err != nil || seconds <= 0 {
		return 0
	}
	return min(time.Duration(seconds)*time.Second, maxRetryAfter)
}
