package report

import (
	"context"
	"fmt"
	"time"

	chdriver "github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/google/uuid"

	"quantbot/internal/candle"
)

// maxVersions bounds how many versions and rejections of one candle are shown.
const maxVersions = 100

// Version is what one run stored for a candle.
type Version struct {
	Candle        candle.Candle
	RunID         uuid.UUID
	Rank          uint64 // the lowest is served
	Quality       uint8
	Source        string
	SourceTier    candle.SourceTier
	ScriptVersion string
	IngestedAt    time.Time
	// Hidden: the run is rolled back.
	Hidden bool
	// Served is true for the one version that readers get.
	Served bool
	// RunStatus and RunStarted are zero while the history has no row of the run.
	RunStatus  string
	RunStarted time.Time
}

// QuarantinedCandle is a candle that a run got for a key and did not store.
type QuarantinedCandle struct {
	Candle     candle.Candle
	RunID      uuid.UUID
	Rule       candle.Rule
	Source     string
	RejectedAt time.Time
	// Detail reports which item and field was no number; empty where the rule and the values say it all.
	Detail string
}

// candleParams name one candle.
func candleParams(token candle.Token, interval candle.Interval, openTime int64) []any {
	return []any{
		named("chain", string(token.Chain)), named("token", token.Address), named("interval", uint32(interval)),
		named("open", storableTime(openTime).Unix()), named("limit", maxVersions),
	}
}

// Versions returns the versions of the candle, the best first, at most 100.
func (db Reader) Versions(ctx context.Context, token candle.Token, interval candle.Interval, openTime int64) ([]Version, error) {
	var versions []Version
	served := false
	err := db.rows(ctx, queryTimeout, versionsSQL, candleParams(token, interval, openTime), func(rows chdriver.Rows) error {
		v := Version{Candle: candle.Candle{OpenTime: openTime}}
		c := &v.Candle
		var tier, hidden uint8
		var status *string
		var started *time.Time
		err := rows.Scan(&v.RunID, &v.Rank, &v.Quality, &v.Source, &tier, &v.ScriptVersion, &v.IngestedAt,
			&c.Open, &c.High, &c.Low, &c.Close, &c.Volume, &c.VolumeUSD, &hidden, &status, &started)
		v.SourceTier, v.Hidden, v.RunStarted = candle.SourceTier(tier), hidden == 1, orZero(started)
		if status != nil {
			v.RunStatus = *status
		}
		v.Served = !served && !v.Hidden
		served = served || v.Served
		versions = append(versions, v)
		return err
	})
	return versions, db.failed(fmt.Sprintf("read the versions of a candle of %s", token), err)
}

// Rejections returns what runs rejected of the candle, the latest first, at most 100; after 90 days nothing is known of it.
func (db Reader) Rejections(ctx context.Context, token candle.Token, interval candle.Interval, openTime int64) ([]QuarantinedCandle, error) {
	var rejections []QuarantinedCandle
	err := db.rows(ctx, queryTimeout, rejectionsSQL, candleParams(token, interval, openTime), func(rows chdriver.Rows) error {
		r := QuarantinedCandle{Candle: candle.Candle{OpenTime: openTime}}
		c := &r.Candle
		var rule string
		err := rows.Scan(&r.RunID, &rule, &r.Source, &c.Open, &c.High, &c.Low, &c.Close, &c.Volume, &c.VolumeUSD, &r.RejectedAt, &r.Detail)
		r.Rule = candle.Rule(rule)
		rejections = append(rejections, r)
		return err
	})
	return rejections, db.failed(fmt.Sprintf("read what was rejected of a candle of %s", token), err)
}
