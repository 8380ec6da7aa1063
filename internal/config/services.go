package config

import (
	"net"
	"net/url"
	"strings"
)

// What a service is called that has no host name of its own.
const (
	// SimulatedService is any simulated market: it says so in its URL (SimulatedPath), wherever it listens.
	SimulatedService = "simulated"
	// LoopbackService is whatever else listens on this machine: its port changes from one start to the next.
	LoopbackService = "loopback"
	// SimulatedPath begins the path of a simulated market's base URL.
	SimulatedPath = "/simulated"
)

// ServiceAt names the service at a base URL: its host, with the port unless it is the scheme's own. Two services never share a
// name; a name is no secret.
func ServiceAt(baseURL string) string {
	u, err := url.Parse(baseURL)
	if err != nil || u.Hostname() == "" {
		return ""
	}
	host := strings.ToLower(strings.TrimSuffix(u.Hostname(), "."))
	switch {
	case u.Path == SimulatedPath || strings.HasPrefix(u.Path, SimulatedPath+"/"):
		return SimulatedService
	case host == "localhost" || strings.HasSuffix(host, ".localhost") || net.ParseIP(host).IsLoopback():
		return LoopbackService
	}
	port := u.Port()
	if port == "" || u.Scheme == "https" && port == "443" || u.Scheme == "http" && port == "80" {
		return host
	}
	return net.JoinHostPort(host, port)
}

// OtherKind reports whether one of two services is simulated and the other one is not. What listens on this machine may be either.
func OtherKind(a, b string) bool {
	known := a != "" && b != "" && a != LoopbackService && b != LoopbackService
	return known && (a == SimulatedService) != (b == SimulatedService)
}

// Service is where one source is asked, or one of the places where it is.
type Service struct {
	// Source is what the place is called in a run's manifest: the source's name, or for its published files the name and
	// " files".
	Source string
	// Variable is the name of the environment's variable for its base URL, and Default what that is when it is not set.
	Variable string
	Default  string
	BaseURL  string
}

// Name is the service at the place.
func (s Service) Name() string { return ServiceAt(s.BaseURL) }

// Services are the places where a source is asked; none for a source that is not known.
func (c Config) Services(source string) (services []Service) {
	configured := c.Sources[source]
	for _, place := range configured.Settings.Places {
		if url := configured.BaseURLs[place.Variable]; url != "" || !place.Optional {
			services = append(services, Service{place.Name, place.Variable, place.Default, url})
		}
	}
	return services
}
