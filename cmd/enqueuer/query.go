package main

import (
	"fmt"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/spf13/cobra"

	"quantbot/internal/candle"
	"quantbot/internal/clickhouse"
	"quantbot/internal/config"
	"quantbot/internal/worklist"
)

// printedCandle is a candle as query writes it in JSON.
type printedCandle struct {
	Timestamp time.Time `json:"timestamp"`
	Open      float64   `json:"open"`
	High      float64   `json:"high"`
	Low       float64   `json:"low"`
	Close     float64   `json:"close"`
	Volume    float64   `json:"volume"`
	VolumeUSD float64   `json:"volume_usd"`
}

func (a *app) queryCommand() *cobra.Command {
	var from, to, tokenText, chainText, intervalText, format string
	var limit int
	cmd := &cobra.Command{
		Use:     "query",
		Short:   "Print the served candles of one token",
		Example: "  quantbot ohlcv query --token So11111111111111111111111111111111111111112 --from -1d --to now --limit 5",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			rng, err := parseRange(from, to, a.now())
			if err != nil {
				return err
			}
			chain, err := candle.ParseChain(chainText)
			if err != nil {
				return fmt.Errorf("--chain: %w", err)
			}
			token, err := worklist.ParseToken(tokenText, chain)
			if err != nil {
				return fmt.Errorf("--token: %w", err)
			}
			interval, err := candle.ParseInterval(intervalText)
			if err != nil {
				return fmt.Errorf("--interval: %w", err)
			}
			if err := checkFormat(format); err != nil {
				return err
			}
			return a.withHistory(cmd.Context(), func(_ config.Config, history *clickhouse.DB) error {
				candles := []printedCandle{}
				err := history.Candles(cmd.Context(), token, interval, rng, func(batch []candle.Candle) error {
					for _, c := range batch[:min(len(batch), limit-len(candles))] {
						candles = append(candles, printedCandle{time.Unix(c.OpenTime, 0).UTC(), c.Open, c.High, c.Low, c.Close, c.Volume, c.VolumeUSD})
					}
					return nil
				})
				if err != nil {
					return err
				}
				return a.printCandles(candles, format)
			})
		},
	}
	f := cmd.Flags()
	f.StringVar(&tokenText, "token", "", "`ADDRESS` or chain:address (required)")
	f.StringVar(&chainText, "chain", string(candle.Solana), "chain of a token that names none")
	f.StringVar(&from, "from", "", "begin of the range (required)")
	f.StringVar(&to, "to", "", "end of the range, exclusive (required)")
	f.StringVar(&intervalText, "interval", "1m", "1s, 15s, 1m, 5m, 15m, 1h, 4h or 1d")
	f.IntVar(&limit, "limit", 1_000, "at most so many")
	f.StringVar(&format, "format", "table", "table or json")
	return cmd
}

func (a *app) printCandles(candles []printedCandle, format string) error {
	if format == "json" {
		return a.printJSON(candles)
	}
	if len(candles) == 0 {
		fmt.Fprintln(a.stdout, "No candles.")
		return nil
	}
	t := a.newTable("time (UTC)", "open", "high", "low", "close", "volume", "volume usd")
	for _, c := range candles {
		t.AppendRow(table.Row{formatTime(c.Timestamp), c.Open, c.High, c.Low, c.Close, c.Volume, c.VolumeUSD})
	}
	t.Render()
	return nil
}
