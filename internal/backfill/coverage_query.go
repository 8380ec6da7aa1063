package backfill

import (
	"time"

	"github.com/google/uuid"

	"quantbot/internal/candle"
	"quantbot/internal/manifest"
)

// CoverageQuery says whose outcomes cover: those of these sources, of this validation, at this interval.
type CoverageQuery struct {
	Sources    []string
	Validation candle.Validation
	Interval   candle.Interval
	// Range is what the outcomes must touch.
	Range candle.Range
	// Tokens narrows the reading; none means all.
	Tokens []candle.Token
	// Outliers is what was done with them; empty = they were kept, or the source's default of the day held, which is that.
	Outliers manifest.Outliers
	// Filtering are the sources that can be asked to filter outliers: only their records can be Defaulted.
	Filtering []string
	// NoPublishedFiles leaves out what was read from published files.
	NoPublishedFiles bool
	// Any takes all outcomes, whatever their sources, validation and treatment of outliers.
	Any bool
	// AsOf is the moment as of which the history is read; zero = now.
	AsOf time.Time

	// CoveringOnly leaves out what covers nothing: chunks that failed, were cancelled, or are hidden.
	CoveringOnly bool
}

// LiveRun is the latest attempt of a run that is under way.
type LiveRun struct {
	RunID   uuid.UUID
	Attempt int
}
