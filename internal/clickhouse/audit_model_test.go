package clickhouse

import (
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
	"quantbot/internal/manifest"
)

// Everything that may happen to versions, in any order, against a model in plain maps: runs that overlap and differ in
// values, quality and tier, in every dedup mode, chunks answered twice, ends, rollbacks, restores, sweeps, purges and
// merges. After every step the served view equals the model; as-of reads of earlier moments give what was served of
// ended runs then, or refuse because a sweep has removed it. rapid prints the seed of a failure.
func TestVersionsEqualModelAfterEveryStep(t *testing.T) {
	t.Parallel()
	db, _ := openMigrated(t)
	var tokens atomic.Int64
	rapid.Check(t, func(rt *rapid.T) {
		m := &auditModel{
			t: rt, db: db, token: candle.Token{Chain: candle.Solana, Address: fmt.Sprintf("audit%d", tokens.Add(1))},
			versions: map[versionKey]candle.Candle{}, removed: map[removal]int{},
		}
		// What earlier sequences left must not be purged by this one.
		mustExec(t, db, "TRUNCATE TABLE ohlcv_run_visibility")
		mustExec(t, db, "TRUNCATE TABLE ohlcv_candle_versions")
		for range rapid.IntRange(5, 25).Draw(rt, "steps") {
			if m.step() {
				m.check()
			}
		}
	})
}

type auditModel struct {
	t        *rapid.T
	db       *DB
	token    candle.Token
	runs     []*modelRun
	versions map[versionKey]candle.Candle
	removed  map[removal]int // versions removed or skipped
	moments  []moment
	swept    int  // the number of moments when something was last removed
	idle     bool // there was no run for the step
}

// removal is from one run for the sake of another, or of the same.
type removal struct{ beneficiary, loser uuid.UUID }

// needed counts what was removed for the sake of a run and would be needed without it.
func (m *auditModel) needed(run *modelRun) (versions int) {
	for r, n := range m.removed {
		if r.beneficiary == run.ID() && r.loser != run.ID() && !m.run(r.loser).purged {
			versions += n
		}
	}
	return versions
}

type modelRun struct {
	backfill.Run
	ended, hidden, purged bool
}

// moment is what an as-of read must give.
type moment struct {
	at   time.Time
	want []candle.Candle
}

// step does something, and reports whether there was a run to do it with.
func (m *auditModel) step() bool {
	m.idle = false
	steps := map[string]func(){
		"start": m.start, "write": m.write, "write again": m.write, "end": m.end, "roll back": m.rollBack, "restore": m.restore,
		"sweep": m.sweep, "merge": func() { m.exec("OPTIMIZE TABLE ohlcv_candle_versions FINAL") }, "look back": m.lookBack,
	}
	names := []string{"start", "write", "write", "write again", "end", "end", "roll back", "restore", "sweep", "merge", "look back"}
	steps[rapid.SampledFrom(names).Draw(m.t, "step")]()
	return !m.idle
}

func (m *auditModel) start() {
	run := newRun(rapid.IntRange(0, 3).Draw(m.t, "start"))
	run.Manifest.RunID = uuid.New()
	run.Manifest.SourceTier = candle.SourceTier(rapid.IntRange(2, 3).Draw(m.t, "tier"))
	run.Manifest.DedupMode = rapid.SampledFrom([]manifest.DedupMode{manifest.DedupNone, manifest.DedupInline, manifest.DedupPostBatch}).Draw(m.t, "mode")
	m.must(m.db.Started(context.Background(), run))
	m.runs = append(m.runs, &modelRun{Run: run})
}

// pick draws a run in a state, or skips the step.
func (m *auditModel) pick(wanted func(*modelRun) bool) *modelRun {
	candidates := slices.DeleteFunc(slices.Clone(m.runs), func(r *modelRun) bool { return !wanted(r) })
	if len(candidates) == 0 {
		m.idle = true
		return nil
	}
	return rapid.SampledFrom(candidates).Draw(m.t, "run")
}

// monthEnd lets candles cross partitions.
var monthEnd = time.Date(2024, 2, 1, 0, 0, 0, 0, time.UTC).Unix()

// write stores an answer of a running run; the same chunk again may be answered differently.
func (m *auditModel) write() {
	run := m.pick(func(r *modelRun) bool { return !r.ended })
	if run == nil {
		return
	}
	w := newWrite(run.Run, nil)
	w.Chunk = backfill.NewChunk(m.token, candle.Interval1m, candle.Range{From: monthEnd - 180, To: monthEnd + 180})
	w.Outcome.Token = m.token
	for i := range int64(6) {
		if rapid.Bool().Draw(m.t, "has candle") {
			price := float64(rapid.IntRange(1, 3).Draw(m.t, "price"))
			w.Candles = append(w.Candles, priced(monthEnd+(i-3)*60, price, float64(rapid.IntRange(0, 1).Draw(m.t, "volume"))))
		}
	}
	if run.Manifest.DedupMode == manifest.DedupInline {
		wantStore, wantCount := m.inline(run, w.Candles)
		store, count := m.db.Deduplicate(context.Background(), run.Run, w.Chunk, run.Manifest.Source, w.Candles)
		if diff := gocmp.Diff(wantStore, store); diff != "" || wantCount != count {
			m.t.Fatalf("inline dedup: %d instead of %d, stored (-want +got):\n%s", count, wantCount, diff)
		}
		w.Candles = store
	}
	for _, c := range w.Candles {
		m.versions[m.key(run, c)] = c
	}
	if recorded, err := m.db.WriteChunk(context.Background(), w); err != nil || !recorded {
		m.t.Fatalf("write: recorded %v, %v", recorded, err)
	}
}

func (m *auditModel) key(run *modelRun, c candle.Candle) versionKey {
	quality := candle.Quality(c, run.Manifest.SourceTier)
	return versionKey{c.OpenTime, Rank(quality, run.Manifest.StartedAt), run.ID()}
}

// inline is the rule of decide, once more over the model.
func (m *auditModel) inline(run *modelRun, candles []candle.Candle) (store []candle.Candle, count int64) {
	for _, c := range candles {
		own := m.key(run, c)
		others := slices.DeleteFunc(m.visible(c.OpenTime), func(k versionKey) bool { return k.run == run.ID() })
		if len(others) == 0 {
			store = append(store, c)
			continue
		}
		best := others[0]
		same := best.rank>>rankTimeBits == own.rank>>rankTimeBits && m.versions[best] == c
		ended := slices.IndexFunc(others, func(k versionKey) bool { return m.run(k.run).ended && compareKeys(k, own) < 0 })
		switch {
		case same && m.run(best.run).ended:
			m.removed[removal{best.run, run.ID()}]++
		case ended >= 0:
			m.removed[removal{others[ended].run, run.ID()}]++
		default:
			if same || compareKeys(best, own) < 0 {
				count++ // stored in the shadow of others
			}
			store = append(store, c)
		}
	}
	if store == nil && len(candles) > 0 {
		store = []candle.Candle{}
	}
	return store, count
}

func compareKeys(a, b versionKey) int {
	return cmp.Or(cmp.Compare(a.openTime, b.openTime), cmp.Compare(a.rank, b.rank), compareRuns(a.run, b.run))
}

func (m *auditModel) run(id uuid.UUID) *modelRun {
	return m.runs[slices.IndexFunc(m.runs, func(r *modelRun) bool { return r.ID() == id })]
}

// visible are the versions of a candle that readers may see, best first; of all candles for 0.
func (m *auditModel) visible(openTime int64) (keys []versionKey) {
	for key := range m.versions {
		if !m.run(key.run).hidden && (openTime == 0 || key.openTime == openTime) {
			keys = append(keys, key)
		}
	}
	slices.SortFunc(keys, compareKeys)
	return keys
}

func (m *auditModel) end() {
	run := m.pick(func(r *modelRun) bool { return !r.ended })
	if run == nil {
		return
	}
	if run.Manifest.DedupMode == manifest.DedupPostBatch {
		m.checkShadowed(run)
	}
	run.ended = true
	record := backfill.RunRecord{Run: run.Run, Status: backfill.StatusCompleted, CompletedAt: time.Now().UTC()}
	m.must(m.db.Finished(context.Background(), record))
	m.moments = append(m.moments, m.now())
}

func (m *auditModel) rollBack() {
	run := m.pick(func(r *modelRun) bool { return r.ended && !r.hidden })
	if run == nil {
		return
	}
	err := m.db.RollBack(context.Background(), run.ID(), someone, false)
	if refused := backfill.RefusalOf(err) == backfill.RefusedUndo; refused != (m.needed(run) > 0) || (err != nil && !refused) {
		m.t.Fatalf("roll back with %d removed: %v", m.needed(run), err)
	}
	run.hidden = err == nil
	m.moments = append(m.moments, m.now())
}

func (m *auditModel) restore() {
	run := m.pick(func(r *modelRun) bool { return r.hidden })
	if run == nil {
		return
	}
	err := m.db.Restore(context.Background(), run.ID(), someone)
	if run.purged != (backfill.RefusalOf(err) == backfill.RefusedPurging) || (err != nil && !run.purged) {
		m.t.Fatalf("restore, purged %v: %v", run.purged, err)
	}
	run.hidden = run.purged
	m.moments = append(m.moments, m.now())
}

// sweep counts every ended run as settled and every rolled-back run as due for the purge.
func (m *auditModel) sweep() {
	want := 0
	for key := range m.versions {
		if run := m.run(key.run); run.hidden {
			delete(m.versions, key)
			want++
		}
	}
	for _, run := range m.runs {
		run.purged = run.purged || run.hidden
	}
	for i := range int64(6) {
		var beneficiary uuid.UUID
		for _, key := range m.visible(monthEnd + (i-3)*60) {
			switch {
			case beneficiary != uuid.Nil:
				delete(m.versions, key)
				m.removed[removal{beneficiary, key.run}]++
				want++
			case m.run(key.run).ended:
				beneficiary = key.run
			}
		}
	}
	swept, err := m.db.Sweep(context.Background(), backfill.SweepRequest{})
	m.must(err)
	got := int64(0)
	for _, month := range swept {
		got += month.Redundant + month.Purged
	}
	if got != int64(want) {
		m.t.Fatalf("the sweep removed %d versions instead of %d", got, want)
	}
	if want > 0 {
		m.swept = len(m.moments)
	}
}
