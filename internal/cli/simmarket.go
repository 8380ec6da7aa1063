package cli

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"quantbot/internal/simmarket"
	"quantbot/internal/wiring"
)

func (a *app) simmarketCommand() *cobra.Command {
	var listen, candles string
	var seed uint64
	var rps int
	var latency time.Duration
	var faults []string
	cmd := &cobra.Command{
		Use:   "simmarket",
		Short: "Serve a simulated market over Birdeye's HTTP API",
		Long: `Serve a simulated market over Birdeye's HTTP API, for trying things without a key. Its candles are deterministic. It can
misbehave by --fault KIND[:option=value,...], with the kinds ` + strings.Join(simmarket.FaultKinds, ", ") + `
and the options token, rate, every, after, times, for, retry_after and delay.`,
		Example: "  quantbot simmarket --listen 127.0.0.1:8099 --rps 15\n  quantbot simmarket --fault 429:every=50,retry_after=2 --fault cut:rate=0.01",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			options := simmarket.Options{Market: simmarket.NewMarket(seed), RPS: rps, Latency: latency, Now: a.now}
			for _, text := range faults {
				fault, err := simmarket.ParseFault(text)
				if err != nil {
					return fmt.Errorf("--fault: %w", err)
				}
				options.Faults = append(options.Faults, fault)
			}
			if candles != "" {
				market, err := loadMarket(candles)
				if err != nil {
					return fmt.Errorf("--candles: %w", err)
				}
				options.Market = market
			}
			a.begin()
			return a.serveMarket(cmd.Context(), listen, options)
		},
	}
	f := cmd.Flags()
	f.StringVar(&listen, "listen", "127.0.0.1:8099", "address to listen on; port 0 takes a free one")
	f.StringVar(&candles, "candles", "", "serve the recorded candles of a CSV `FILE` (token_address,interval,unix_time,o,h,l,c,v_usd)")
	f.Uint64Var(&seed, "seed", 1, "seed of the simulated market")
	f.IntVar(&rps, "rps", 0, "refuse more requests than this in any second; 0 = no limit")
	f.DurationVar(&latency, "latency", 0, "delay each answer")
	f.StringArrayVar(&faults, "fault", nil, "misbehave; may be repeated")
	return cmd
}

func loadMarket(path string) (*simmarket.Market, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return simmarket.LoadCSV(file)
}

func (a *app) serveMarket(ctx context.Context, listen string, options simmarket.Options) error {
	running, err := simmarket.Listen(ctx, listen, simmarket.NewServer(options))
	if err != nil {
		return wiring.ListenError("--listen", listen, err)
	}
	url, elsewhere, _ := strings.Cut(reachableURL(strings.TrimPrefix(running.URL(), "http://")), " ")
	fmt.Fprintf(a.stdout, "BIRDEYE_BASE_URL=%s\n", url)
	if elsewhere != "" {
		fmt.Fprintln(a.stderr, "simulated market on", url, elsewhere)
	}
	<-ctx.Done()
	closeCtx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	return running.Close(closeCtx)
}
