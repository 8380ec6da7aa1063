package dashboard

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"time"

	"github.com/google/uuid"

	"quantbot/internal/candle"
	"quantbot/internal/clickhouse/report"
)

// candleVersions is everything that runs brought for one candle.
type candleVersions struct {
	OpenTime   int64           `json:"-"`
	Timestamp  time.Time       `json:"timestamp"` // OpenTime, for programs
	Versions   []shownVersion  `json:"versions"`
	Rejections []shownRejected `json:"rejections"`
}

// shownVersion is what one run stored, and why it is served or not.
type shownVersion struct {
	RunID         uuid.UUID         `json:"run_id"`
	RunStatus     string            `json:"run_status"` // empty while the history has no row of the run
	RunStarted    time.Time         `json:"run_started_at"`
	Served        bool              `json:"served"`
	Why           string            `json:"why"`
	Quality       uint8             `json:"quality_score"`
	Rank          uint64            `json:"rank"`
	Source        string            `json:"source"`
	SourceTier    candle.SourceTier `json:"source_tier"`
	ScriptVersion string            `json:"script_version"`
	IngestedAt    time.Time         `json:"ingested_at"`
	Open          float64           `json:"open"`
	High          float64           `json:"high"`
	Low           float64           `json:"low"`
	Close         float64           `json:"close"`
	Volume        float64           `json:"volume"`
	VolumeUSD     float64           `json:"volume_usd"`
}

// shownRejected is what one run got and did not store.
type shownRejected struct {
	RunID      uuid.UUID     `json:"run_id"`
	Rule       candle.Rule   `json:"rule"`
	Source     string        `json:"source"`
	RejectedAt time.Time     `json:"rejected_at"`
	Open       rejectedValue `json:"open"`
	High       rejectedValue `json:"high"`
	Low        rejectedValue `json:"low"`
	Close      rejectedValue `json:"close"`
	Volume     rejectedValue `json:"volume"`
	Detail     string        `json:"detail,omitempty"`
}

// rejectedValue may be no number, which JSON has no word for but null.
type rejectedValue float64

// MarshalJSON implements json.Marshaler.
func (v rejectedValue) MarshalJSON() ([]byte, error) {
	if math.IsNaN(float64(v)) || math.IsInf(float64(v), 0) {
		return []byte("null"), nil
	}
	return json.Marshal(float64(v))
}

// String is what the page shows.
func (v rejectedValue) String() string { return formatPrice(float64(v)) }

func (d *Dashboard) versionsOf(ctx context.Context, token candle.Token, interval candle.Interval, open int64) (*candleVersions, error) {
	shown := &candleVersions{OpenTime: open, Timestamp: time.Unix(open, 0).UTC(), Versions: []shownVersion{}, Rejections: []shownRejected{}}
	versions, err := d.cfg.History.Versions(ctx, token, interval, open)
	if err != nil {
		return nil, err
	}
	for i, v := range versions {
		c := v.Candle
		shown.Versions = append(shown.Versions, shownVersion{
			RunID: v.RunID, RunStatus: v.RunStatus, RunStarted: v.RunStarted, Served: v.Served, Why: whyServed(versions, i),
			Quality: v.Quality, Rank: v.Rank, Source: v.Source, SourceTier: v.SourceTier, ScriptVersion: v.ScriptVersion, IngestedAt: v.IngestedAt,
			Open: c.Open, High: c.High, Low: c.Low, Close: c.Close, Volume: c.Volume, VolumeUSD: c.VolumeUSD,
		})
	}
	rejections, err := d.cfg.History.Rejections(ctx, token, interval, open)
	for _, r := range rejections {
		c := r.Candle
		shown.Rejections = append(shown.Rejections, shownRejected{
			RunID: r.RunID, Rule: r.Rule, Source: r.Source, RejectedAt: r.RejectedAt, Detail: r.Detail,
			Open: rejectedValue(c.Open), High: rejectedValue(c.High), Low: rejectedValue(c.Low), Close: rejectedValue(c.Close), Volume: rejectedValue(c.Volume),
		})
	}
	return shown, err
}

// whyServed says why readers get this version, or another one: quality first, then the newer run, among the runs that are
// not rolled back. versions are the best first.
func whyServed(versions []report.Version, i int) string {
	v := versions[i]
	if v.Hidden {
		return "not served: its run is rolled back"
	}
	served, second := -1, -1
	for j, other := range versions {
		switch {
		case other.Served:
			served = j
		case !other.Hidden && second < 0:
			second = j
		}
	}
	switch {
	case v.Served && second < 0 && len(versions) == 1:
		return "served: it is the only version"
	case v.Served && second < 0:
		return "served: the only version whose run is not rolled back"
	case v.Served:
		return "served: " + better(v, versions[second])
	}
	return "not served: " + worse(v, versions[served])
}

func better(v, second report.Version) string {
	switch {
	case v.Quality > second.Quality:
		return fmt.Sprintf("the highest quality, %d against %d", v.Quality, second.Quality)
	case v.Rank < second.Rank:
		return "of the highest quality, from the newest run"
	}
	return "of the highest quality; of runs that started together the lower run id counts"
}

func worse(v, served report.Version) string {
	switch {
	case v.Quality < served.Quality:
		return fmt.Sprintf("quality %d is below %d", v.Quality, served.Quality)
	case v.Candle == served.Candle:
		return "the same values from an older run"
	case v.Rank > served.Rank:
		return "of the same quality, but its run started earlier"
	}
	return "of runs that started together the lower run id counts"
}
