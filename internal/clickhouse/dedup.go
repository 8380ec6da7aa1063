package clickhouse

import (
	"cmp"
	"context"
	"slices"
	"time"

	chdriver "github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/google/uuid"

	"quantbot/internal/backfill"
	"quantbot/internal/candle"
)

// version is a stored version of a candle, as dedup sees it.
type version struct {
	candle  candle.Candle
	rank    uint64
	run     uuid.UUID
	quality uint8
	// settled: its run ended longer than the rollback window ago and is visible.
	settled bool
}

// before reports whether v is served rather than o.
func (v version) before(o version) bool {
	return cmp.Or(cmp.Compare(v.rank, o.rank), compareRuns(v.run, o.run)) < 0
}

// compareRuns is ClickHouse's order of UUIDs: the second half counts first.
func compareRuns(a, b uuid.UUID) int {
	return cmp.Or(slices.Compare(a[8:], b[8:]), slices.Compare(a[:8], b[:8]))
}

// decide says what becomes of a candle that is about to be stored. others are the visible versions of other runs, the best first.
// It is shadowed when it brings nothing over what they serve. It may be skipped, for the sake of the beneficiary, when
// that holds against a settled run too: then what is served stays the same.
func decide(own version, others []version) (shadowed, skip bool, beneficiary uuid.UUID) {
	if len(others) == 0 {
		return false, false, uuid.Nil
	}
	best := others[0]
	same := best.quality == own.quality && best.candle == own.candle
	if !same && !best.before(own) {
		return false, false, uuid.Nil
	}
	if same && best.settled {
		return true, true, best.run
	}
	for _, o := range others {
		if o.settled && o.before(own) {
			return true, true, o.run
		}
	}
	return true, false, uuid.Nil
}

// Deduplicate is inline dedup: of the chunk's candles it returns those to store, and how many of those bring nothing over
// what other runs serve: they stay in their shadow until the sweep. Where it cannot read or write what it needs, all are
// stored and none counts, with a warning (R7).
func (db *DB) Deduplicate(ctx context.Context, run backfill.Run, chunk backfill.Chunk, source string, candles []candle.Candle) (store []candle.Candle, shadowed int64) {
	store, shadowed, err := db.deduplicate(ctx, run, chunk, run.Tier(source), candles)
	if err != nil {
		db.log.WarnContext(ctx, "inline dedup not possible, storing everything", "run_id", run.ID(), "chunk_id", chunk.ID, "err", err)
		return candles, 0
	}
	return store, shadowed
}

func (db *DB) deduplicate(ctx context.Context, run backfill.Run, chunk backfill.Chunk, tier candle.SourceTier, candles []candle.Candle) ([]candle.Candle, int64, error) {
	others, err := db.visibleOthers(ctx, run, chunk)
	if err != nil || len(others) == 0 {
		return candles, 0, err
	}
	m := &run.Manifest
	inShadow := int64(0)
	skipped := make(map[int]uuid.UUID) // by index, for whose sake
	for i, c := range candles {
		quality := candle.Quality(c, tier)
		own := version{candle: c, rank: Rank(quality, m.StartedAt), run: m.RunID, quality: quality}
		shadowed, skip, beneficiary := decide(own, others[c.OpenTime])
		if shadowed {
			inShadow++
		}
		if skip {
			skipped[i] = beneficiary
		}
	}
	if len(skipped) == 0 {
		return candles, inShadow, nil
	}
	if err := db.keepSkipsUndoable(ctx, run, chunk, candles, skipped); err != nil {
		return nil, 0, err
	}
	store := make([]candle.Candle, 0, len(candles)-len(skipped))
	for i, c := range candles {
		if _, skip := skipped[i]; !skip {
			store = append(store, c)
		}
	}
	return store, inShadow - int64(len(skipped)), nil
}

// visibleOthers reads the versions of other runs by open time.
func (db *DB) visibleOthers(ctx context.Context, run backfill.Run, chunk backfill.Chunk) (map[int64][]version, error) {
	others := make(map[int64][]version)
	params := []any{
		named("ended", backfill.EndedStatusNames()), named("window", uint32(db.window.Seconds())), named("run_id", run.ID()),
		named("chain", string(chunk.Token.Chain)), named("token_address", chunk.Token.Address), named("interval", uint32(chunk.Interval)),
		named("from", storableTime(chunk.Range.From).Unix()), named("to", storableTime(chunk.Range.To).Unix()),
	}
	err := db.Each(ctx, queryTimeout, visibleOthersSQL, params, func(rows chdriver.Rows) error {
		var v version
		var opened uint32
		var settled uint8
		c := &v.candle
		err := rows.Scan(&opened, &v.rank, &v.run, &v.quality, &c.Open, &c.High, &c.Low, &c.Close, &c.Volume, &c.VolumeUSD, &settled)
		c.OpenTime, v.settled = int64(opened), settled == 1
		others[c.OpenTime] = append(others[c.OpenTime], v)
		return err
	})
	return others, db.Failed("read what other runs have", err)
}

// keepSkipsUndoable writes down for whose sake candles are skipped, so that rolling those runs back is refused, and takes
// back the skips of runs that were rolled back meanwhile. As with sweeps, writing comes before looking again.
func (db *DB) keepSkipsUndoable(ctx context.Context, run backfill.Run, chunk backfill.Chunk, candles []candle.Candle, skipped map[int]uuid.UUID) error {
	rows := skipRows(run, chunk, candles, skipped)
	if err := insertStructs(ctx, db, insertMaintenanceSQL, rows); err != nil {
		return db.Failed("write down what is skipped", err)
	}
	beneficiaries := make([]uuid.UUID, len(rows))
	for i, row := range rows {
		beneficiaries[i] = row.Beneficiary
	}
	type hiddenRow struct {
		RunID uuid.UUID `ch:"run_id"`
	}
	hidden, err := selectStructs[hiddenRow](ctx, db, hiddenRunsSQL, named("runs", beneficiaries))
	if err != nil || len(hidden) == 0 {
		return db.Failed("look again for rolled-back runs", err)
	}
	for i := range rows {
		if slices.Contains(hidden, hiddenRow{rows[i].Beneficiary}) {
			rows[i].Versions = 0 // replaces the row
		}
	}
	for i, beneficiary := range skipped {
		if slices.Contains(hidden, hiddenRow{beneficiary}) {
			delete(skipped, i)
		}
	}
	return db.Failed("take back what is not skipped", insertStructs(ctx, db, insertMaintenanceSQL, rows))
}

// skipRows adds the skips up per beneficiary and month. The operation's id is that of the chunk, so that a repeated chunk
// counts once.
func skipRows(run backfill.Run, chunk backfill.Chunk, candles []candle.Candle, skipped map[int]uuid.UUID) []maintenanceRow {
	type key struct {
		beneficiary uuid.UUID
		month       uint32
	}
	counts := make(map[key]uint64)
	for i, beneficiary := range skipped {
		opened := time.Unix(candles[i].OpenTime, 0).UTC()
		counts[key{beneficiary, uint32(opened.Year()*100 + int(opened.Month()))}]++
	}
	rows := make([]maintenanceRow, 0, len(counts))
	for k, versions := range counts {
		rows = append(rows, maintenanceRow{
			Beneficiary: k.beneficiary, Removed: run.ID(), Month: k.month, Interval: uint32(chunk.Interval),
			OperationID: uuid.NewSHA1(run.ID(), []byte(chunk.ID)), Operation: operationInline, Versions: versions,
			HarmlessFrom: time.Unix(0, 0).UTC(),
		})
	}
	return rows
}

// Shadowed is post-batch dedup: it counts the run's candles that bring nothing over what other runs serve. They stay
// stored, in the others' shadow, until a sweep finds them redundant.
func (db *DB) Shadowed(ctx context.Context, run backfill.Run) (int64, error) {
	m := &run.Manifest
	count, err := queryCount(ctx, db, shadowedSQL, named("run_id", run.ID()), named("interval", uint32(m.Interval)),
		named("from", storableTime(m.Range.From).Unix()), named("to", storableTime(m.Range.To).Unix()))
	return count, db.Failed("count what other runs serve as well", err)
}
