package clickhouse

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"pgregory.net/rapid"

	"quantbot/internal/backfill"
	"quantbot/internal/candle"
)

// The served view against a model that fits on a page: whatever runs write, repeat, lose and get back, and whenever
// merges happen, the view serves of each candle the best quality of the visible runs, then the newer run's.
func TestServedViewEqualsModel(t *testing.T) {
	t.Parallel()
	db, _ := openMigrated(t)
	var tokens atomic.Int64
	rapid.Check(t, func(rt *rapid.T) {
		m := &servedModel{
			t: rt, db: db,
			token:    candle.Token{Chain: candle.Solana, Address: fmt.Sprintf("token%d", tokens.Add(1))},
			versions: map[versionKey]candle.Candle{},
			hidden:   map[uuid.UUID]bool{},
		}
		for range 3 {
			m.runs = append(m.runs, m.drawRun())
		}
		for range rapid.IntRange(1, 8).Draw(rt, "steps") {
			m.step()
		}
		m.check()
		mustExec(t, db, "OPTIMIZE TABLE ohlcv_candle_versions FINAL")
		m.check()
	})
}

// versionKey is the sorting key of a version of the one token.
type versionKey struct {
	openTime int64
	rank     uint64
	run      uuid.UUID
}

type servedModel struct {
	t        *rapid.T
	db       *DB
	token    candle.Token
	runs     []backfill.Run
	versions map[versionKey]candle.Candle // the last write of each key
	hidden   map[uuid.UUID]bool
	events   int
}

// drawRun draws from few starts and tiers, so that runs tie.
func (m *servedModel) drawRun() backfill.Run {
	run := newRun(rapid.IntRange(0, 2).Draw(m.t, "start"))
	run.Manifest.RunID = uuid.New()
	run.Manifest.SourceTier = candle.SourceTier(rapid.IntRange(2, 3).Draw(m.t, "tier"))
	return run
}

func (m *servedModel) step() {
	run := rapid.SampledFrom(m.runs).Draw(m.t, "run")
	switch rapid.SampledFrom([]string{"write", "write", "write", "hide", "merge"}).Draw(m.t, "step") {
	case "write":
		m.write(run)
	case "hide":
		m.events++
		m.hidden[run.ID()] = !m.hidden[run.ID()]
		event := map[bool]string{true: "rolled_back", false: "restored"}[m.hidden[run.ID()]]
		m.exec(fmt.Sprintf("INSERT INTO ohlcv_run_visibility (run_id, sequence, event) SELECT '%s', %d, '%s'", run.ID(), m.events, event))
	case "merge":
		m.exec("OPTIMIZE TABLE ohlcv_candle_versions")
	}
}

// write stores a random answer over a few candles around the end of a month, so that partitions are crossed.
func (m *servedModel) write(run backfill.Run) {
	monthEnd := time.Date(2024, 2, 1, 0, 0, 0, 0, time.UTC).Unix()
	w := newWrite(run, nil)
	w.Chunk.Token = m.token
	for i := range int64(6) {
		if !rapid.Bool().Draw(m.t, "has candle") {
			continue
		}
		price := float64(rapid.IntRange(1, 9).Draw(m.t, "price"))
		volume := float64(rapid.IntRange(0, 1).Draw(m.t, "volume"))
		c := priced(monthEnd+(i-3)*60, price, volume)
		w.Candles = append(w.Candles, c)
		rank := Rank(candle.Quality(c, run.Manifest.SourceTier), run.Manifest.StartedAt)
		m.versions[versionKey{c.OpenTime, rank, run.ID()}] = c
	}
	if recorded, err := m.db.WriteChunk(context.Background(), w); err != nil || !recorded {
		m.t.Fatalf("write: recorded %v, %v", recorded, err)
	}
}

func (m *servedModel) exec(statement string) {
	if err := m.db.exec(context.Background(), queryTimeout, statement); err != nil {
		m.t.Fatal(err)
	}
}

func (m *servedModel) check() {
	got, err := readServed(m.db, m.token, time.Time{})
	if err != nil {
		m.t.Fatal(err)
	}
	if diff := gocmp.Diff(m.want(), got); diff != "" {
		m.t.Fatalf("served differs from the model (-want +got):\n%s", diff)
	}
}

func (m *servedModel) want() []candle.Candle {
	var keys []versionKey
	for key := range m.versions {
		if !m.hidden[key.run] {
			keys = append(keys, key)
		}
	}
	slices.SortFunc(keys, func(a, b versionKey) int {
		return cmp.Or(cmp.Compare(a.openTime, b.openTime), cmp.Compare(a.rank, b.rank), compareUUIDs(a.run, b.run))
	})
	var served []candle.Candle
	for i, key := range keys {
		if i == 0 || key.openTime != keys[i-1].openTime {
			served = append(served, m.versions[key])
		}
	}
	return served
}

// compareUUIDs is ClickHouse's order of UUIDs: the second half counts first.
func compareUUIDs(a, b uuid.UUID) int {
	return cmp.Or(bytes.Compare(a[8:], b[8:]), bytes.Compare(a[:8], b[:8]))
}
