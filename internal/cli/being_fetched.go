package cli

import (
	"context"
	"fmt"

	"github.com/google/uuid"

	"quantbot/internal/backfill"
	"quantbot/internal/wiring"
)

// leftOut is a backfill.LeftOut as people read it.
type leftOut struct {
	RunID   uuid.UUID `json:"run_id"`
	Candles int64     `json:"candles"`
	Tokens  int       `json:"tokens"`
}

func leftOuts(left []backfill.LeftOut) []leftOut {
	outs := make([]leftOut, len(left))
	for i, l := range left {
		outs[i] = leftOut{RunID: l.RunID, Candles: l.Candles, Tokens: len(l.Wanted)}
	}
	return outs
}

// String is the beginning of a sentence.
func (l leftOut) String() string {
	are := "are"
	if l.Candles == 1 {
		are = "is"
	}
	return fmt.Sprintf("%s of %s %s being fetched by run %s", counted(l.Candles, "candle"), counted(l.Tokens, "token"), are, l.RunID)
}

// waitForOthers waits for the ends of the runs that something was left to, and then looks what of it is there.
func (a *app) waitForOthers(ctx context.Context, stores *wiring.Stores, request backfill.Request, run backfill.Run, left []backfill.LeftOut) error {
	for i, other := range leftOuts(left) {
		fmt.Fprintf(a.stderr, "run %s has ended; waiting for run %s, which fetches %s of %s for it\n",
			run.ID(), other.RunID, counted(other.Candles, "candle"), counted(other.Tokens, "token"))
		record, err := a.watch(ctx, stores, other.RunID)
		if ctx.Err() != nil {
			return &exitError{exitInterrupted, a.interrupted(other.RunID)}
		}
		if err != nil {
			return err
		}
		fmt.Fprintf(a.stderr, "run %s %s\n", other.RunID, record.Status)
		request.Wanted = left[i].Wanted
		missing, err := a.planner(stores.History, nil).Missing(ctx, request, a.now())
		if err != nil {
			return fmt.Errorf("look whether run %s fetched what was left to it: %w", other.RunID, err)
		}
		if missing > 0 {
			return &exitError{exitRunFailed, fmt.Errorf("run %s %s without %d of the %s that were left to it: start the same command again, it fetches what is missing",
				other.RunID, record.Status, missing, counted(other.Candles, "candle"))}
		}
	}
	return nil
}
