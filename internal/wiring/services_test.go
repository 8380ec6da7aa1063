package wiring_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"quantbot/internal/backfill"
	"quantbot/internal/config"
	"quantbot/internal/services"
	"quantbot/internal/simmarket"
	"quantbot/internal/source/register"
	"quantbot/internal/wiring"
)

const simulatedURL = "http://127.0.0.1:1/simulated"

// asking is the configuration of a process that asks Birdeye at this base URL; empty = at the vendor's.
func (w *harness) asking(t *testing.T, birdeye string) config.Config {
	t.Helper()
	vars := w.env.Vars()
	vars["BIRDEYE_BASE_URL"] = birdeye
	cfg, err := register.LoadConfig(func(name string) string { return vars[name] })
	require.NoError(t, err)
	return cfg
}

func TestASimulatedMarketSaysSo(t *testing.T) {
	t.Parallel()
	require.Equal(t, simmarket.Path, config.SimulatedPath)
	market, err := simmarket.Listen(t.Context(), "127.0.0.1:0", simmarket.NewServer(simmarket.Options{Market: simmarket.NewMarket(1), Now: time.Now}))
	require.NoError(t, err)
	defer market.Close(t.Context())
	require.Equal(t, config.SimulatedService, config.ServiceAt(market.URL()))
}

// Rule R13. What a source is asked at first, it is asked at for good, unless somebody says that the service moved.
func TestADatabaseKeepsWhereASourceIsAsked(t *testing.T) {
	t.Parallel()
	w := setup(t)
	simulated, vendor, gateway := w.asking(t, simulatedURL), w.asking(t, ""), w.asking(t, "https://gateway.example/birdeye")
	require.NoError(t, wiring.Services(vendor, w.History).Check(t.Context(), "birdeye"), "nothing was asked yet")
	places, err := wiring.Services(vendor, w.History).Use(t.Context(), "ada@lab", "birdeye", "binance")
	require.NoError(t, err)
	require.Equal(t, map[string]string{
		"birdeye": "public-api.birdeye.so", "binance": "data-api.binance.vision", "binance files": "data.binance.vision",
	}, places)
	for _, other := range []config.Config{simulated, gateway} {
		_, err = wiring.Services(other, w.History).Use(t.Context(), "ada@lab", "birdeye")
		requireStranger(t, err, "birdeye was asked at public-api.birdeye.so", "--service-moved birdeye")
		requireStranger(t, w.Deployment.AskServices(t.Context(), services.Of(other, "birdeye")), "is asked at public-api.birdeye.so in this deployment")
	}
	require.NoError(t, w.Deployment.AskServices(t.Context(), services.Of(vendor, "birdeye")))
	require.NoError(t, w.History.AddService(t.Context(), "birdeye", "gateway.example", "ada@lab", true))
	for _, same := range []config.Config{vendor, gateway} {
		_, err = wiring.Services(same, w.History).Use(t.Context(), "ada@lab", "birdeye")
		require.NoError(t, err)
		require.NoError(t, w.Deployment.AskServices(t.Context(), services.Of(same, "birdeye")))
	}
	require.Error(t, wiring.Services(simulated, w.History).Check(t.Context(), "birdeye"))
}

// Rule R13. Sources have names of their own, which say nothing about whether their candles are simulated.
func TestSimulatedAndRealSourcesNeverShareADatabase(t *testing.T) {
	t.Parallel()
	w := setup(t)
	simulated := w.asking(t, simulatedURL)
	requireStranger(t, wiring.Services(simulated, w.History).Check(t.Context(), "birdeye", "geckoterminal"),
		"birdeye is asked at simulated", "geckoterminal would be asked at api.geckoterminal.com", "GECKOTERMINAL_BASE_URL")
	_, err := wiring.Services(simulated, w.History).Use(t.Context(), "ada@lab", "birdeye")
	require.NoError(t, err)
	for _, other := range []string{"geckoterminal", "binance"} {
		_, err := wiring.Services(simulated, w.History).Use(t.Context(), "ada@lab", other)
		requireStranger(t, err, "birdeye is asked at simulated", other+" would be asked at")
	}
	require.NoError(t, wiring.Services(simulated, w.History).Check(t.Context(), "birdeye"), "a refused run leaves nothing behind")

	elsewhere := setup(t)
	_, err = wiring.Services(simulated, elsewhere.History).Use(t.Context(), "ada@lab", "geckoterminal")
	require.NoError(t, err)
	requireStranger(t, wiring.Services(simulated, elsewhere.History).Check(t.Context(), "birdeye"), "birdeye would be asked at simulated")
	require.NoError(t, wiring.Services(elsewhere.asking(t, "http://127.0.0.1:1"), elsewhere.History).Check(t.Context(), "birdeye"), "a gateway on this machine may lead to the vendor")
}

// Of two processes that are the first, with different services, the earlier one counts for both.
func TestTheEarlierServiceCounts(t *testing.T) {
	t.Parallel()
	w := setup(t)
	require.NoError(t, w.History.AddService(t.Context(), "birdeye", config.SimulatedService, "ada@lab", false))
	require.NoError(t, w.History.AddService(t.Context(), "birdeye", "public-api.birdeye.so", "bob@lab", false))
	services, err := w.History.Services(t.Context())
	require.NoError(t, err)
	require.Equal(t, []string{config.SimulatedService}, services["birdeye"])
}

// Runs of before services were recorded asked where their environment said.
func TestCandlesOfBeforeServicesWereRecordedCount(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		environment       map[string]string
		vendor, simulated bool
	}{
		"simulated, or another service of this machine": {map[string]string{"BIRDEYE_BASE_URL": "http://127.0.0.1:34567"}, false, true},
		"the vendor": {map[string]string{"BIRDEYE_API_KEY": "***"}, true, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := setup(t)
			run, _ := newRun(t, 1)
			run.Manifest.Source, run.Manifest.EnvInfo = "birdeye", c.environment
			record := backfill.RunRecord{Run: run, Status: backfill.StatusCompleted, CompletedAt: time.Now(), Stats: backfill.Stats{Fetched: 1, Inserted: 1}}
			require.NoError(t, w.History.Finished(t.Context(), record))
			require.Equal(t, c.vendor, wiring.Services(w.asking(t, ""), w.History).Check(t.Context(), "birdeye") == nil)
			require.Equal(t, c.simulated, wiring.Services(w.asking(t, simulatedURL), w.History).Check(t.Context(), "birdeye") == nil)
		})
	}
}

// A worker of the simulated market leaves the chunks of a real run alone: it fetches nothing, and spends no try.
func TestAWorkerLeavesARunOfAnotherServiceAlone(t *testing.T) {
	t.Parallel()
	w := setup(t)
	run, chunks := w.ownRun(t, 1)
	run.Manifest.Source, run.Manifest.Services = "birdeye", map[string]string{"birdeye": "public-api.birdeye.so"}
	require.NoError(t, w.launcher.Launch(t.Context(), run, chunks, false))
	stray := w.handler()
	stray.Worker.Deployment = w.Deployment
	require.NoError(t, w.Deployment.AskServices(t.Context(), services.Of(w.asking(t, simulatedURL), "birdeye")))
	for range 12 { // more often than a chunk may be tried
		err := stray.ProcessTask(t.Context(), w.task(t, run, chunks[0]))
		requireStranger(t, err, "asks birdeye at public-api.birdeye.so, this worker at simulated")
		require.Equal(t, backfill.ClassForeign, backfill.ClassOf(err))
	}
	require.Zero(t, w.source.times(chunks[0].Range))
	now := time.Now()
	waits := &backfill.Waits{
		Ledger: w.Ledger, Store: func() (backfill.Wait, bool) { return backfill.Wait{}, false }, Worker: "stray", Logger: w.logger,
		Now: func() time.Time { return now },
	}
	stray.Worker.Filler.Waits = waits
	require.Error(t, stray.ProcessTask(t.Context(), w.task(t, run, chunks[0])))
	waiting := func() string {
		waits.Show(t.Context())
		state, err := w.Ledger.State(t.Context(), run.ID())
		require.NoError(t, err)
		texts := make([]string, len(state.Waits))
		for i, wait := range state.Waits {
			texts[i] = wait.String()
		}
		return strings.Join(texts, "; ")
	}
	require.Contains(t, waiting(), "asks birdeye at public-api.birdeye.so, this worker at simulated", "people who wait for the run see why")
	require.Empty(t, waits.Current(), "the worker itself waits for nothing")
	now = now.Add(time.Minute)
	require.Empty(t, waiting(), "it came by no more")
	stray.Worker.Filler.Waits = nil

	require.NoError(t, w.Deployment.AskServices(t.Context(), services.Of(w.asking(t, ""), "birdeye")))
	requireExact(t, w.workWith(t, stray, run), 1)
	require.Equal(t, 1, w.source.times(chunks[0].Range))
}
