package dashboard

import (
	"context"
	"errors"
	"fmt"
	"html/template"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/google/uuid"

	"quantbot/internal/coverage"
)

// Config configures a Dashboard. History, Live, Logger and Now are required.
type Config struct {
	History History
	Live    Live
	// Actions changes runs. Without a token nobody can.
	Actions Actions
	// RollbackWindow is how old a run must be before a sweep calls others' versions redundant to its.
	RollbackWindow time.Duration
	// Queues is the queue monitor at /queues; writable lets the visitor change tasks. nil = no such page.
	Queues func(writable bool) http.Handler
	// Metrics serves /metrics; nil = no such page.
	Metrics http.Handler
	// Token is what visitors must know to act, and, beyond loopback, to see anything; empty = nobody acts.
	Token string
	// Public = the dashboard listens beyond loopback: every page is for those who know the token.
	Public bool
	// Private wants the token for every page on loopback, too: other users of the machine get there as well.
	Private bool
	Logger  *slog.Logger
	Now     func() time.Time
	// Moment is what coverage is judged by when these sources are looked at; nil = by Now.
	Moment func(ctx context.Context, sources []string) coverage.Moment
}

// Dashboard serves the pages. Close it when it is not served any more.
type Dashboard struct {
	cfg       Config
	templates map[string]*template.Template
	assets    map[string]asset
	sections  []section
	sessions  *sessions

	hub   *hub
	sweep sweeping
	// previews has a place for each long preview that may run.
	previews chan struct{}

	handler http.Handler
	// streaming ends streams and what can go on later; closing ends actions too.
	streaming, closing context.Context //nolint:containedctx // their owner is Close: they outlive every request
	stopStreams, close context.CancelFunc
	working            sync.WaitGroup
}

// shortestToken keeps tokens from being guessed: right ones are let in at any pace, because behind a proxy scripts and
// guessers have one address.
const shortestToken = 16

// New makes a dashboard. Its error names what is wrong with the configuration.
func New(cfg Config) (*Dashboard, error) {
	if cfg.Public && cfg.Token == "" {
		return nil, errors.New("QUANTBOT_DASHBOARD_TOKEN must be set to listen beyond this machine: without it anybody could look")
	}
	if cfg.Private && cfg.Token == "" {
		return nil, errors.New("a private dashboard needs a token: without it nobody could look")
	}
	if cfg.Token != "" && len(cfg.Token) < shortestToken {
		return nil, fmt.Errorf("QUANTBOT_DASHBOARD_TOKEN has fewer than %d characters and could be guessed: make one with openssl rand -hex 16", shortestToken)
	}
	templates, err := parseTemplates()
	if err != nil {
		return nil, fmt.Errorf("parse the templates: %w", err)
	}
	assets, err := readAssets()
	if err != nil {
		return nil, fmt.Errorf("read the assets: %w", err)
	}
	d := &Dashboard{
		cfg: cfg, templates: templates, assets: assets, sessions: newSessions(cfg.Token, cfg.Now), previews: make(chan struct{}, previewsAtOnce),
		hub: &hub{state: cfg.Live.State, now: cfg.Now, logger: cfg.Logger, every: pollEvery, watched: make(map[uuid.UUID]*watched)},
	}
	if err := d.checkPages(); err != nil {
		return nil, err
	}
	d.closing, d.close = context.WithCancel(context.Background())
	d.streaming, d.stopStreams = context.WithCancel(d.closing)
	d.handler = d.protect(d.routes())
	return d, nil
}

// ServeHTTP serves a request.
func (d *Dashboard) ServeHTTP(w http.ResponseWriter, r *http.Request) { d.handler.ServeHTTP(w, r) }

// Close ends streams, actions and background work and waits for the latter.
func (d *Dashboard) Close() {
	d.close()
	d.working.Wait()
}

// Limits of the server. A page is there within a second; what takes longer extends its own deadline.
const (
	headerTimeout   = 5 * time.Second
	readTimeout     = 15 * time.Second
	writeTimeout    = 30 * time.Second
	idleTimeout     = 2 * time.Minute
	maxHeaderBytes  = 32 << 10
	maxBodyBytes    = 64 << 10
	shutdownTimeout = 10 * time.Second
)

// Serve serves requests until ctx ends, then lets running ones end, streams at once. It closes the dashboard.
func (d *Dashboard) Serve(ctx context.Context, listener net.Listener) error {
	server := &http.Server{
		Handler: d, ReadHeaderTimeout: headerTimeout, ReadTimeout: readTimeout, WriteTimeout: writeTimeout, IdleTimeout: idleTimeout,
		MaxHeaderBytes: maxHeaderBytes, ErrorLog: slog.NewLogLogger(d.cfg.Logger.Handler(), slog.LevelDebug),
	}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(listener) }()
	defer d.Close()
	select {
	case err := <-ended:
		return fmt.Errorf("serve the dashboard: %w", err)
	case <-ctx.Done():
	}
	d.stopStreams()
	shutdown, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTimeout)
	defer cancel()
	err := server.Shutdown(shutdown)
	if err != nil {
		err = errors.Join(err, server.Close())
	}
	if served := <-ended; !errors.Is(served, http.ErrServerClosed) {
		err = errors.Join(err, served)
	}
	return err
}
