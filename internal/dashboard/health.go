package dashboard

import (
	"context"
	"net/http"
	"time"
)

// readyTimeout bounds the question to each store.
const readyTimeout = 2 * time.Second

// healthy responds that the process lives.
func healthy(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = w.Write([]byte("ok\n")) // a probe that has left is nobody's trouble
}

// ready responds whether the stores answer. It names which one does not, and no address.
func (d *Dashboard) ready(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), readyTimeout)
	defer cancel()
	status, stores := http.StatusOK, map[string]string{}
	for name, ping := range map[string]func(context.Context) error{"clickhouse": d.cfg.History.Ping, "redis": d.cfg.Live.Ping} {
		stores[name] = "ok"
		if err := ping(ctx); err != nil {
			d.cfg.Logger.WarnContext(ctx, "not ready", "store", name, "err", err)
			stores[name], status = "does not answer", http.StatusServiceUnavailable
		}
	}
	d.writeJSON(w, r, status, stores)
}
