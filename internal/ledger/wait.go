package ledger

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"quantbot/internal/backfill"
)

// waitTTL is for how long a worker's waits are shown when it does not show them again: several times WaitEvery, so that one
// lost write does not hide them.
const waitTTL = 5 * backfill.WaitEvery

// maxWaiters bounds a hash of waits: of more workers than these, others say the same.
const maxWaiters = 200

// ShowWaits shows what the worker waits for with the chunks of a run, or with none of them (uuid.Nil), in place of what it
// showed before; no waits mean that it goes on. now is the clock that the waits' beginnings were taken from: Redis' own
// clock says since when.
func (l *Ledger) ShowWaits(ctx context.Context, runID uuid.UUID, worker string, now time.Time, waits []backfill.Wait) error {
	args := []any{worker, waitTTL.Milliseconds(), maxWaiters}
	for _, w := range waits {
		encoded, err := json.Marshal(w)
		if err != nil {
			return fmt.Errorf("encode a wait: %w", err)
		}
		args = append(args, max(now.Sub(w.Since), 0).Microseconds(), encoded)
	}
	_, err := l.run(ctx, waitScript, []string{waitsKey(runID)}, args...)
	return err
}

// Waits returns what any worker waits for: each dependency and reason once, since the earliest moment.
func (l *Ledger) Waits(ctx context.Context) ([]backfill.Wait, error) {
	return l.readWaits(ctx, uuid.Nil)
}

// RunWaits returns what workers wait for with the chunks of a run.
func (l *Ledger) RunWaits(ctx context.Context, runID uuid.UUID) ([]backfill.Wait, error) {
	return l.readWaits(ctx, runID)
}

func (l *Ledger) readWaits(ctx context.Context, runID uuid.UUID) ([]backfill.Wait, error) {
	shown, err := l.client.HGetAll(ctx, waitsKey(runID)).Result()
	if err != nil {
		return nil, redisError("read what workers wait for", err)
	}
	return mergeWaits(shown)
}

func waitsKey(runID uuid.UUID) string {
	if runID == uuid.Nil {
		return workerWaitsKey
	}
	return keysOf(runID).waits()
}

// mergeWaits joins what workers show. Of equal waits the error of the one that has waited longest stands for all.
func mergeWaits(shown map[string]string) ([]backfill.Wait, error) {
	var all []backfill.Wait
	for worker, text := range shown {
		waits, err := decodeWaits(text)
		if err != nil {
			return nil, fmt.Errorf("decode what %s waits for: %w", worker, err)
		}
		all = append(all, waits...)
	}
	slices.SortFunc(all, func(a, b backfill.Wait) int {
		return cmp.Or(cmp.Compare(a.On, b.On), cmp.Compare(a.Reason, b.Reason), a.Since.Compare(b.Since))
	})
	merged := all[:0]
	for _, w := range all {
		if last := len(merged) - 1; last >= 0 && merged[last].On == w.On && merged[last].Reason == w.Reason {
			merged[last].Workers++
			continue
		}
		w.Workers = 1
		merged = append(merged, w)
	}
	slices.SortStableFunc(merged, func(a, b backfill.Wait) int { return a.Since.Compare(b.Since) })
	return merged, nil
}

// decodeWaits reads a value of the hash: see wait.lua.
func decodeWaits(text string) (waits []backfill.Wait, err error) {
	_, lines, _ := strings.Cut(text, "\n")
	for line := range strings.Lines(lines) {
		since, encoded, _ := strings.Cut(line, " ")
		micros, err := strconv.ParseInt(since, 10, 64)
		if err != nil {
			return nil, err
		}
		var w backfill.Wait
		if err := json.Unmarshal([]byte(encoded), &w); err != nil {
			return nil, err
		}
		w.Since = time.UnixMicro(micros).UTC()
		waits = append(waits, w)
	}
	return waits, nil
}
