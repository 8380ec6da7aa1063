package clickhouse

import (
	"context"
	"errors"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"quantbot/internal/candle"
)

func (m *auditModel) checkShadowed(run *modelRun) {
	want := int64(0)
	for i := range int64(6) {
		at := monthEnd + (i-3)*60
		var own, others []versionKey
		for _, k := range m.visible(at) {
			if k.run == run.ID() {
				own = append(own, k)
			} else {
				others = append(others, k)
			}
		}
		if len(own) == 0 || len(others) == 0 {
			continue
		}
		same := own[0].rank>>rankTimeBits == others[0].rank>>rankTimeBits && m.versions[own[0]] == m.versions[others[0]]
		if same || compareKeys(others[0], own[0]) < 0 {
			want++
		}
	}
	scope := run.Run
	scope.Manifest.Range = candle.Range{From: monthEnd - 180, To: monthEnd + 180}
	got, err := m.db.Shadowed(context.Background(), scope)
	m.must(err)
	if got != want {
		m.t.Fatalf("post-batch dedup counts %d instead of %d", got, want)
	}
}

// now is this moment and what an as-of read of it must give. It returns when the clock has moved on.
func (m *auditModel) now() moment {
	var at time.Time
	m.must(m.db.conn.QueryRow(context.Background(), "SELECT now64(6, 'UTC')").Scan(&at))
	for time.Since(at) < 3*time.Millisecond {
		time.Sleep(time.Millisecond)
	}
	var ended []versionKey
	for _, key := range m.visible(0) {
		if m.run(key.run).ended {
			ended = append(ended, key)
		}
	}
	return moment{at: at, want: m.best(ended)}
}

// lookBack reads an earlier moment.
func (m *auditModel) lookBack() {
	if len(m.moments) == 0 {
		return
	}
	n := rapid.IntRange(0, len(m.moments)-1).Draw(m.t, "moment")
	got, err := readServed(m.db, m.token, m.moments[n].at)
	if n < m.swept && errors.Is(err, ErrMomentGone) {
		return
	}
	m.must(err)
	if diff := gocmp.Diff(m.moments[n].want, got); diff != "" {
		m.t.Fatalf("as of %s differs (-want +got):\n%s", m.moments[n].at, diff)
	}
}

func (m *auditModel) best(keys []versionKey) (candles []candle.Candle) {
	for i, key := range keys {
		if i == 0 || key.openTime != keys[i-1].openTime {
			candles = append(candles, m.versions[key])
		}
	}
	return candles
}

func (m *auditModel) check() {
	got, err := readServed(m.db, m.token, time.Time{})
	m.must(err)
	if diff := gocmp.Diff(m.best(m.visible(0)), got); diff != "" {
		m.t.Fatalf("served differs from the model (-want +got):\n%s", diff)
	}
}

func (m *auditModel) must(err error) {
	if err != nil {
		m.t.Fatal(err)
	}
}

func (m *auditModel) exec(statement string) {
	m.must(m.db.exec(context.Background(), queryTimeout, statement))
}
