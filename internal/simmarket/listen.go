package simmarket

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"
)

// Path begins the path of every base URL of a simulated market, by which its candles are distinguished from real ones. It serves
// without it, too.
const Path = "/simulated"

// Running is a listening server.
type Running struct {
	server *http.Server
	url    string
	ended  chan error
}

// Listen serves s on the address, for example 127.0.0.1:0 for a free port.
func Listen(ctx context.Context, address string, s *Server) (*Running, error) {
	var listen net.ListenConfig
	listener, err := listen.Listen(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", address, err)
	}
	r := &Running{
		server: &http.Server{Handler: s, ReadHeaderTimeout: 10 * time.Second},
		url:    "http://" + listener.Addr().String() + Path,
		ended:  make(chan error, 1),
	}
	go func() { r.ended <- r.server.Serve(listener) }()
	return r, nil
}

// URL is the base URL, without a trailing slash.
func (r *Running) URL() string { return r.url }

// Close lets requests under way end, within the context's time, and stops listening.
func (r *Running) Close(ctx context.Context) error {
	err := r.server.Shutdown(ctx)
	if err != nil {
		err = errors.Join(err, r.server.Close())
	}
	if ended := <-r.ended; !errors.Is(ended, http.ErrServerClosed) {
		err = errors.Join(err, ended)
	}
	return err
}
