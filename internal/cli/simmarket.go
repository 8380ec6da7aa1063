package cli

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"quantbot/internal/simmarket"
	"quantbot/internal/source/register"
	"quantbot/internal/wiring"
)

// simmarketOptions are the flags of simmarket.
type simmarketOptions struct {
	listen, candles string
	seed            uint64
	rps             int
	latency         time.Duration
	faults          []string

	server simmarket.Options // what the flags mean
}

func newSimmarketCommand(a *app) *cobra.Command {
	source := register.Default()
	return newCommand(a, new(simmarketOptions), a.runSimmarket, &cobra.Command{
		Use:   "simmarket",
		Short: "Serve a simulated market over " + source.Title + "'s HTTP API",
		Long: `Serve a simulated market over ` + source.Title + `'s HTTP API, for trying things without a key. Its candles are deterministic. It can
misbehave by --fault KIND[:option=value,...], with the kinds ` + strings.Join(simmarket.FaultKinds, ", ") + `
and the options token, rate, every, after, times, for, retry_after and delay.`,
		Example: "  quantbot simmarket --listen 127.0.0.1:8099 --rps 15\n  quantbot simmarket --fault 429:every=50,retry_after=2 --fault cut:rate=0.01",
		Args:    cobra.NoArgs,
	})
}

func (o *simmarketOptions) register(flags *pflag.FlagSet) {
	flags.StringVar(&o.listen, "listen", "127.0.0.1:8099", "address to listen on; port 0 takes a free one")
	flags.StringVar(&o.candles, "candles", "", "serve the recorded candles of a CSV `FILE` (token_address,interval,unix_time,o,h,l,c,v_usd)")
	flags.Uint64Var(&o.seed, "seed", 1, "seed of the simulated market")
	flags.IntVar(&o.rps, "rps", 0, "refuse more requests than this in any second; 0 = no limit")
	flags.DurationVar(&o.latency, "latency", 0, "delay each answer")
	flags.StringArrayVar(&o.faults, "fault", nil, "misbehave; may be repeated")
}

func (o *simmarketOptions) check(a *app, _ *cobra.Command, _ []string) (err error) {
	o.server = simmarket.Options{Market: simmarket.NewMarket(o.seed), RPS: o.rps, Latency: o.latency, Now: a.now}
	for _, text := range o.faults {
		fault, err := simmarket.ParseFault(text)
		if err != nil {
			return fmt.Errorf("--fault: %w", err)
		}
		o.server.Faults = append(o.server.Faults, fault)
	}
	if o.candles != "" {
		if o.server.Market, err = loadMarket(o.candles); err != nil {
			return fmt.Errorf("--candles: %w", err)
		}
	}
	return nil
}

func loadMarket(path string) (*simmarket.Market, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return simmarket.LoadCSV(file)
}

func (a *app) runSimmarket(ctx context.Context, o *simmarketOptions) error {
	running, err := simmarket.Listen(ctx, o.listen, simmarket.NewServer(o.server))
	if err != nil {
		return wiring.ListenError("--listen", o.listen, err)
	}
	url, elsewhere, _ := strings.Cut(reachableURL(strings.TrimPrefix(running.URL(), "http://")), " ")
	fmt.Fprintf(a.stdout, "%s=%s\n", register.Default().Places[0].Variable, url)
	if elsewhere != "" {
		fmt.Fprintln(a.stderr, "simulated market on", url, elsewhere)
	}
	<-ctx.Done()
	closeCtx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	return running.Close(closeCtx)
}
