package alert_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"quantbot/internal/alert"
)

// token is in the path of every test's URL, and must never be seen again.
const token = "B0TOKENx7k2"

func receiver(t *testing.T, handle http.HandlerFunc) (address string) {
	t.Helper()
	server := httptest.NewServer(handle)
	t.Cleanup(server.Close)
	return server.URL + "/services/" + token + "?key=q" + token
}

func webhook(t *testing.T, cfg alert.WebhookConfig) *alert.Webhook {
	t.Helper()
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	w, err := alert.NewWebhook(cfg)
	require.NoError(t, err)
	t.Cleanup(w.Close)
	return w
}

func failedRun() alert.End {
	return alert.End{
		Source: "birdeye", At: time.Date(2025, 3, 1, 0, 0, 0, 0, time.UTC),
		Run: alert.RunFacts{
			ID: uuid.MustParse("01a20a8e-bc5e-7619-9ea4-5412916c3697"), Attempt: 2, Status: "failed", StartedBy: "ana@desk",
			Planned: 50, Failed: 3, Fetched: 100, Inserted: 90, Rejected: 10, Error: "3 chunks failed (solana:So1 and others): HTTP 500 <b>&",
		},
	}
}

// verify is what docs/operations.md asks of receivers.
func verify(secret, header string, body []byte) error {
	var at, signature string
	for part := range strings.SplitSeq(header, ",") {
		switch name, value, _ := strings.Cut(part, "="); name {
		case "t":
			at = value
		case "v1":
			signature = value
		}
	}
	mac := hmac.New(sha256.New, []byte(secret))
	fmt.Fprintf(mac, "%s.%s", at, body)
	if want := hex.EncodeToString(mac.Sum(nil)); !hmac.Equal([]byte(want), []byte(signature)) {
		return fmt.Errorf("signature %q is not %q", signature, want)
	}
	return nil
}

func TestADeliveryIsSignedJSON(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_740_787_200, 0)
	type delivery struct {
		header http.Header
		body   []byte
	}
	got := make(chan delivery, 1)
	address := receiver(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		got <- delivery{r.Header, body}
		fmt.Fprint(w, "ok\n")
	})
	event := alert.Ended(failedRun())
	w := webhook(t, alert.WebhookConfig{URL: address, Secret: "hunter2", UserAgent: "quantbot/v1", Now: func() time.Time { return now }})
	receipt, err := w.Deliver(t.Context(), event)
	require.NoError(t, err)
	require.Equal(t, alert.Receipt{Status: 200, Answer: "ok"}, receipt)

	d := <-got
	require.Equal(t, "application/json; charset=utf-8", d.header.Get("Content-Type"))
	require.Equal(t, "quantbot/v1", d.header.Get("User-Agent"))
	require.Equal(t, event.ID.String(), d.header.Get(alert.EventHeader))
	signature := d.header.Get(alert.SignatureHeader)
	require.True(t, strings.HasPrefix(signature, "t=1740787200,v1="), signature)
	require.NoError(t, verify("hunter2", signature, d.body))
	require.Error(t, verify("hunter3", signature, d.body))
	require.Error(t, verify("hunter2", signature, append(d.body, ' ')))
	require.Error(t, verify("hunter2", strings.Replace(signature, "t=1740787200", "t=1740787201", 1), d.body))

	var sent alert.Event
	require.NoError(t, json.Unmarshal(d.body, &sent))
	require.Equal(t, event, sent)
	require.Equal(t, alert.KindFailed, sent.Kind)
	require.Contains(t, sent.Text, "3 of 50 chunks failed, 10 of 100 candles rejected. 3 chunks failed")
	require.Contains(t, sent.Text, "quantbot ohlcv runs-retry 01a20a8e-bc5e-7619-9ea4-5412916c3697")
}

func TestWithoutASecretNothingIsSigned(t *testing.T) {
	t.Parallel()
	signed := make(chan bool, 1)
	address := receiver(t, func(_ http.ResponseWriter, r *http.Request) { signed <- r.Header.Get(alert.SignatureHeader) != "" })
	_, err := webhook(t, alert.WebhookConfig{URL: address}).Deliver(t.Context(), alert.Test(time.Now()))
	require.NoError(t, err)
	require.False(t, <-signed)
}

// Whatever goes wrong, the error says what, and nothing of the URL, even when the receiver echoes it.
func TestTroubleIsReportedWithoutTheURL(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		handle http.HandlerFunc
		want   string
	}{
		"refused": {func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "invalid_payload", http.StatusBadRequest) }, "HTTP 400 Bad Request: invalid_payload"},
		"down":    {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) }, "HTTP 500 Internal Server Error"},
		"echo": {func(w http.ResponseWriter, r *http.Request) {
			http.Error(w, "no "+r.URL.String()+"\x00\n\x1b[31m", http.StatusNotFound)
		}, "HTTP 404 Not Found: no *** [31m"},
		"long": {func(w http.ResponseWriter, _ *http.Request) {
			http.Error(w, strings.Repeat("x", 1<<20), http.StatusInternalServerError)
		}, "HTTP 500 Internal Server Error: " + strings.Repeat("x", 200) + "…"},
		"slow": {func(_ http.ResponseWriter, r *http.Request) { _, _ = io.ReadAll(r.Body); <-r.Context().Done() }, "no answer within 200ms"},
		"cut":  {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, "the connection was cut before the answer was whole"},
		"redirect": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "https://elsewhere.example"+r.URL.Path, http.StatusTemporaryRedirect)
		}, "HTTP 307 Temporary Redirect: it redirects to elsewhere.example, and redirects are not followed: set the URL that takes messages itself"},
		"redirect nowhere": {func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusFound)
		}, "HTTP 302 Found: it redirects to no host, and redirects are not followed: set the URL that takes messages itself"},
		"redirect to the token": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "https://"+token+".example", http.StatusFound)
		}, "HTTP 302 Found: it redirects to ***.example, and redirects are not followed: set the URL that takes messages itself"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var requests atomic.Int64
			address := receiver(t, func(w http.ResponseWriter, r *http.Request) { requests.Add(1); c.handle(w, r) })
			_, err := webhook(t, alert.WebhookConfig{URL: address, Timeout: 200 * time.Millisecond}).Deliver(t.Context(), alert.Test(time.Now()))
			require.EqualError(t, err, c.want)
			require.EqualValues(t, 1, requests.Load())
		})
	}
}

func TestNobodyThere(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	address := "http://user:pw" + token + "@" + listener.Addr().String() + "/" + token
	require.NoError(t, listener.Close())
	_, err = webhook(t, alert.WebhookConfig{URL: address}).Deliver(t.Context(), alert.Test(time.Now()))
	require.EqualError(t, err, "connection refused: nothing listens there")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = webhook(t, alert.WebhookConfig{URL: address}).Deliver(ctx, alert.Test(time.Now()))
	require.ErrorIs(t, err, context.Canceled)
}

func TestURLsThatAreNone(t *testing.T) {
	t.Parallel()
	for _, address := range []string{"", "ftp://h/" + token, "https://", "file:///" + token, "https://h\x7f/" + token} {
		_, err := alert.NewWebhook(alert.WebhookConfig{URL: address})
		require.EqualError(t, err, "the webhook's URL is not an http:// or https:// URL", address)
	}
}
