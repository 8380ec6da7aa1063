package cli

import (
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"quantbot/internal/simmarket"
)

// fleetSeconds is how long the fleet is watched, if it uses all that is allowed: QUANTBOT_FLEET_SECONDS, which also asks for the numbers that a quiet
// machine reaches, else a few seconds, in which nothing is asked of the machine's speed.
func fleetSeconds(t *testing.T) (seconds time.Duration, strict bool) {
	t.Helper()
	text := os.Getenv("QUANTBOT_FLEET_SECONDS")
	if text == "" {
		return 4 * time.Second, false
	}
	n, err := strconv.Atoi(text)
	require.NoError(t, err)
	return time.Duration(n) * time.Second, true
}

// Four worker processes on one allowance of 50 requests a second, at a service that counts any rolling second: they use
// it, are not refused, and find a limit that is lower than the documented one.
func TestAFleetUsesTheAllowanceAndNoMore(t *testing.T) {
	const configured = 50
	for _, c := range []struct {
		name    string
		allowed int
		used    float64 // the least share of what is allowed or configured
		refused float64 // the most share of requests
		briefly float64 // the most share refused in a few seconds, on any machine
	}{
		{"exact", configured, 0.96, 0, 0.05},
		{"slack", configured * 104 / 100, 0.98, 0, 0.05},
		{"lower", 40, 0.7, 0.02, 0.2},
	} {
		t.Run(c.name, func(t *testing.T) {
			seconds, strict := fleetSeconds(t)
			used, refused := c.used, c.refused
			if !strict {
				used, refused = 0, c.briefly
			}
			h := setup(t, simmarket.Options{RPS: c.allowed})
			h.vars["BIRDEYE_RPS"] = strconv.Itoa(configured)
			tokens := simmarket.Tokens(configured * int(seconds/time.Second+10))
			for range 4 {
				h.worker(t, "--concurrency", "16") // so that the requests are what is scarce
			}
			h.ok(t, "ingestion", "ohlcv", "--tokens", writeTokens(t, tokens), "--from", "2025-03-01", "--to", "2025-03-01T01:00")
			require.Eventually(t, func() bool { return h.market.Stats().Requests > configured }, time.Minute, 10*time.Millisecond)
			before, began := h.market.Stats(), time.Now()
			enough := before.ByStatus[200] + int64(min(c.allowed, configured))*int64(seconds/time.Second)
			var after simmarket.Stats
			require.Eventually(t, func() bool { after = h.market.Stats(); return after.ByStatus[200] >= enough }, 2*time.Minute+2*seconds, 10*time.Millisecond)
			took := time.Since(began)

			share := float64(after.ByStatus[200]-before.ByStatus[200]) / (took.Seconds() * float64(min(c.allowed, configured)))
			limited := float64(after.ByStatus[429]) / float64(after.Requests)
			t.Logf("%s: %.2f %% of %d/s used in %.0f s, %.2f %% of %d requests refused, at most %d in any second",
				c.name, 100*share, min(c.allowed, configured), took.Seconds(), 100*limited, after.Requests, after.MostPerSecond)
			require.GreaterOrEqual(t, share, used)
			require.LessOrEqual(t, share, 1.02, "no more than is allowed")
			require.LessOrEqual(t, limited, refused)
			require.Positive(t, after.ByStatus[200])
		})
	}
}
