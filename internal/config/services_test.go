package config_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"quantbot/internal/config"
	"quantbot/internal/source/register"
)

func TestServiceAt(t *testing.T) {
	t.Parallel()
	for baseURL, service := range map[string]string{
		"https://public-api.birdeye.so":           "public-api.birdeye.so",
		"https://Public-API.birdeye.so.:443/":     "public-api.birdeye.so",
		"http://gateway.example:80/birdeye":       "gateway.example",
		"http://gateway.example:8080":             "gateway.example:8080",
		"https://[2001:db8::1]:8443/v1":           "[2001:db8::1]:8443",
		"http://127.0.0.1:34567":                  "loopback",
		"http://127.8.9.10":                       "loopback",
		"http://[::1]:8099":                       "loopback",
		"http://localhost:8099/api/v2":            "loopback",
		"http://127.0.0.1:34567/simulated":        "simulated",
		"http://127.0.0.1:34567/simulated/api/v2": "simulated",
		"http://market.example/simulated":         "simulated",
		"http://market.example/simulatedness":     "market.example",
		"":                                        "",
	} {
		require.Equal(t, service, config.ServiceAt(baseURL), baseURL)
	}
}

func TestEverySourceHasItsServices(t *testing.T) {
	t.Parallel()
	cfg, err := register.LoadConfig(func(string) string { return "" })
	require.NoError(t, err)
	names := map[string]string{}
	for _, source := range []string{"birdeye", "geckoterminal", "binance", "another"} {
		for _, service := range cfg.Services(source) {
			names[service.Source] = service.Name()
			require.Equal(t, service.Default, service.BaseURL)
		}
	}
	require.Equal(t, map[string]string{
		"birdeye": "public-api.birdeye.so", "geckoterminal": "api.geckoterminal.com",
		"binance": "data-api.binance.vision", "binance files": "data.binance.vision",
	}, names)
}
