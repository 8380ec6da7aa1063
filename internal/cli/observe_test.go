package cli

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/protobuf/proto"

	"quantbot/internal/alert"
	"quantbot/internal/simmarket"
)

// outside is a webhook's receiver and a collector of traces.
type outside struct {
	*httptest.Server
	mu     sync.Mutex
	events map[uuid.UUID]alert.Event
	// services are the programs that sent spans, by trace and span name.
	services map[string]map[string]string
}

func newOutside(t *testing.T) *outside {
	t.Helper()
	o := &outside{events: make(map[uuid.UUID]alert.Event), services: make(map[string]map[string]string)}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /hook/distinctive-key", o.takeEvent)
	mux.HandleFunc("POST /v1/traces", o.takeSpans)
	o.Server = httptest.NewServer(mux)
	t.Cleanup(o.Close)
	return o
}

func (o *outside) takeEvent(w http.ResponseWriter, r *http.Request) {
	var e alert.Event
	if err := json.NewDecoder(r.Body).Decode(&e); err != nil || r.Header.Get(alert.SignatureHeader) == "" {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.events[e.ID] = e
}

func (o *outside) takeSpans(_ http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	var request collector.ExportTraceServiceRequest
	if proto.Unmarshal(body, &request) != nil {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, resource := range request.ResourceSpans {
		service := ""
		for _, a := range resource.Resource.Attributes {
			if a.Key == "service.name" {
				service = a.Value.GetStringValue()
			}
		}
		for _, scope := range resource.ScopeSpans {
			for _, span := range scope.Spans {
				trace := string(span.TraceId)
				if o.services[trace] == nil {
					o.services[trace] = make(map[string]string)
				}
				o.services[trace][span.Name] = service
			}
		}
	}
}

// traced returns the spans of the trace that has a launch, and how many traces there are.
func (o *outside) traced() (spans map[string]string, traces int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, names := range o.services {
		if names["launch"] != "" {
			spans = names
		}
	}
	copied := make(map[string]string, len(spans))
	for name, service := range spans {
		copied[name] = service
	}
	return copied, len(o.services)
}

func (o *outside) delivered() []alert.Event {
	o.mu.Lock()
	defer o.mu.Unlock()
	var events []alert.Event
	for _, e := range o.events {
		events = append(events, e)
	}
	return events
}

// A run that fails is reported by the worker, and its trace goes through both programs. None of their logs names the webhook.
func TestABadRunIsReportedAndTraced(t *testing.T) {
	t.Parallel()
	tokens := simmarket.Tokens(2)
	h, o := setup(t, simmarket.Options{Faults: []simmarket.Fault{{Kind: "401", Token: tokens[1].Address}}}), newOutside(t)
	h.vars["QUANTBOT_ALERT_WEBHOOK_URL"], h.vars["QUANTBOT_ALERT_WEBHOOK_SECRET"] = o.URL+"/hook/distinctive-key", "s"
	h.vars["OTEL_EXPORTER_OTLP_ENDPOINT"], h.vars["OTEL_BSP_SCHEDULE_DELAY"] = o.URL, "50"
	h.worker(t)
	// A process of its own, because the exporter reads the environment itself.
	enqueuer := exec.CommandContext(t.Context(), os.Args[0], "ingestion", "ohlcv", "--from", "2025-03-01", "--to", "2025-03-02",
		"--tokens", writeTokens(t, tokens), "--wait")
	enqueuer.Env = append(os.Environ(), roleVariable+"=1")
	for name, value := range h.vars {
		enqueuer.Env = append(enqueuer.Env, name+"="+value)
	}
	said, err := enqueuer.CombinedOutput()
	require.Error(t, err)
	require.Equal(t, exitRunFailed, enqueuer.ProcessState.ExitCode(), string(said))
	require.NotContains(t, string(said), "distinctive-key")

	require.Eventually(t, func() bool { return len(o.delivered()) > 0 }, time.Minute, 20*time.Millisecond)
	require.Len(t, o.delivered(), 1)
	event := o.delivered()[0]
	require.Equal(t, alert.KindFailed, event.Kind)
	require.Contains(t, event.Text, "1 of 2 chunks failed")
	want := map[string]string{
		"launch": "quantbot", "enqueue": "quantbot", "candles:fill": "quantbot-worker", "fetch page": "quantbot-worker",
		"insert": "quantbot-worker", "record": "quantbot-worker", "run:finish": "quantbot-worker",
	}
	require.Eventually(t, func() bool { spans, _ := o.traced(); return len(spans) == len(want) }, time.Minute, 20*time.Millisecond)
	spans, traces := o.traced()
	require.Equal(t, want, spans)
	require.Equal(t, 1, traces)
}

// A worker is killed while it delivers. Another one delivers again, under the same id.
func TestAWorkerKilledWhileItDelivers(t *testing.T) {
	t.Parallel()
	tokens := simmarket.Tokens(1)
	h := setup(t, simmarket.Options{Faults: []simmarket.Fault{{Kind: "401", Token: tokens[0].Address}}})
	delivering := make(chan uuid.UUID, 10)
	receiver := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		var e alert.Event
		_ = json.NewDecoder(r.Body).Decode(&e)
		delivering <- e.ID
		if len(delivering) == 1 && e.Kind == alert.KindFailed {
			<-r.Context().Done() // the first one never hears that it was taken
		}
	}))
	t.Cleanup(receiver.Close)
	h.vars["QUANTBOT_ALERT_WEBHOOK_URL"] = receiver.URL
	first := h.worker(t)
	r := h.run(t, "ingestion", "ohlcv", "--from", "2025-03-01", "--to", "2025-03-02", "--tokens", writeTokens(t, tokens), "--wait", "--format", "json")
	require.Equal(t, exitRunFailed, r.code, r.stderr)
	require.Eventually(t, func() bool { return len(delivering) == 1 }, time.Minute, 10*time.Millisecond)
	require.NoError(t, first.Process.Kill())
	h.env.Redis(t, "DEL quantbot:lease:alerts") // its time passes
	h.worker(t)
	require.Eventually(t, func() bool {
		return h.env.ClickHouse(t, "SELECT count() FROM "+h.env.Database+".ohlcv_alerts") == "1\n"
	}, time.Minute, 20*time.Millisecond)
	require.Len(t, delivering, 2)
	once := <-delivering
	require.Equal(t, once, <-delivering)
}
