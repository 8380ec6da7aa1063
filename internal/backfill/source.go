package backfill

import (
	"context"
	"iter"
	"strings"
	"time"

	"quantbot/internal/candle"
	"quantbot/internal/manifest"
)

// Page is one answer of a source.
type Page struct {
	// Candles are as the source gave them, oldest first; they may hold duplicates and candles outside the asked range. They
	// belong to the reader, who may change them.
	Candles []candle.Candle
	// Odd says what is wrong with candles that have NaN or an infinity for a value; most pages have none.
	Odd []Oddity
	// Files are the published files that the page was read from; most pages have none.
	Files []File
	// APICalls is how many requests the page took, and Credits what they cost in the source's own units.
	APICalls int64
	Credits  int64
	// At is when the service made the response by its own clock; zero where it does not say. A service whose clock is behind
	// cannot know of candles that it takes to be open.
	At time.Time
}

// File is a published file that candles were read from: whoever publishes it may replace it later.
type File struct {
	Name   string `json:"name"`
	SHA256 string `json:"sha256"`
	// Modified is when it was last changed, by its server; zero where that does not say.
	Modified time.Time `json:"modified,omitzero"`
}

// String is how the history keeps a file: its name, its hash and, where it is known, when it was modified.
func (f File) String() string {
	if f.Modified.IsZero() {
		return f.Name + " " + f.SHA256
	}
	return f.Name + " " + f.SHA256 + " " + f.Modified.UTC().Format(time.RFC3339)
}

// ParseFile reads what String wrote; what it cannot read is left empty.
func ParseFile(text string) (f File) {
	words := strings.Fields(text)
	for i, word := range words[:min(len(words), 3)] {
		switch i {
		case 0:
			f.Name = word
		case 1:
			f.SHA256 = word
		default:
			f.Modified, _ = time.Parse(time.RFC3339, word) // unknown where it is none
		}
	}
	return f
}

// Oddity says what is wrong with a candle of an answer: which item and which field.
type Oddity struct {
	OpenTime int64
	Text     string
}

// Cost is what requests take.
type Cost struct {
	Calls   int64
	Credits int64
}

// Source is a market-data service.
type Source interface {
	// Name is the word for the source in flags, rows and documents.
	Name() string
	// SettleDelay is how long after its close a candle may still change at the source.
	SettleDelay() time.Duration
	// Supports returns why the source cannot serve the chain at this interval, or nil.
	Supports(chain candle.Chain, interval candle.Interval) error
	// Cut is how ranges of the interval are best cut into chunks.
	Cut(interval candle.Interval) Cut
	// Cost is the most that fetching the range takes.
	Cost(interval candle.Interval, r candle.Range) Cost
	// Candles yields the pages that cover the range, one after the other from either end: some services look back in time.
	// The pages prove the range complete only when the sequence ends without an error: an error is yielded once, last, with
	// a Class. Each request has its own timeout.
	Candles(ctx context.Context, token candle.Token, interval candle.Interval, r candle.Range) iter.Seq2[Page, error]
}

// Configurable is a Source some of whose parameters are the run's to choose.
type Configurable interface {
	Source
	// For returns the source as the run asks it. It shares everything but the parameters with the one that it comes from.
	For(m *manifest.Manifest) Source
}

// SourceFunc gives a source by its name, as the run with this manifest asks it.
type SourceFunc func(name string, m *manifest.Manifest) (Source, error)
