// Package publicjson writes the JSON that commands, pages and manifests give to programs: one shape for one thing, as docs/json.md
// describes. A list without entries is [] and never null, a map {}; a range has RFC 3339 times; counts of candles are called as the
// columns of ohlcv_ingestion_runs. What is stored (payloads, ledger, hashes) keeps its own forms and does not come here.
package publicjson

import (
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	jsonv1 "github.com/go-json-experiment/json/v1"

	"quantbot/internal/backfill"
	"quantbot/internal/candle"
)

// Range is how a candle.Range is written: half-open, in UTC.
type Range struct {
	From time.Time `json:"from"`
	To   time.Time `json:"to"`
}

// Counts is how backfill.Stats are written. CandlesShadowed and CandlesSkipped are nil where an older program did not count them apart.
type Counts struct {
	CandlesFetched      int64  `json:"candles_fetched"`
	CandlesInserted     int64  `json:"candles_inserted"`
	CandlesRejected     int64  `json:"candles_rejected"`
	CandlesDeduplicated int64  `json:"candles_deduplicated"`
	CandlesShadowed     *int64 `json:"candles_shadowed"`
	CandlesSkipped      *int64 `json:"candles_skipped"`
	ZeroVolumeCount     int64  `json:"zero_volume_count"`
	CandlesDropped      int64  `json:"candles_dropped"`
	APICalls            int64  `json:"api_calls"`
	Credits             int64  `json:"credits"`
}

// Outcome is how a backfill.Outcome is written.
type Outcome struct {
	ChunkID    backfill.ChunkID       `json:"chunk_id"`
	Token      candle.Token           `json:"token"`
	Range      candle.Range           `json:"range"`
	Status     backfill.OutcomeStatus `json:"status"`
	Counts     backfill.Stats         `json:"counts"`
	Error      string                 `json:"error"`
	ErrorClass backfill.Class         `json:"error_class"`
	Source     string                 `json:"source"`
	Files      []backfill.File        `json:"files"`
	// AnsweredTo is nil where it was not recorded: the answer was for the whole range.
	AnsweredTo *time.Time `json:"answered_to"`
	Executions int        `json:"executions"`
	Worker     string     `json:"worker"`
	Version    string     `json:"version"`
	StartedAt  time.Time  `json:"started_at"`
	EndedAt    time.Time  `json:"ended_at"`
}

var options = json.JoinOptions(
	// What is the same for all who read: the rules of encoding/json, but for lists.
	jsonv1.DefaultOptionsV1(),
	json.FormatNilSliceAsNull(false), json.FormatNilMapAsNull(false), json.Deterministic(true),
	jsontext.EscapeForHTML(false), jsontext.EscapeForJS(false),
	json.WithMarshalers(json.JoinMarshalers(
		json.MarshalToFunc(func(e *jsontext.Encoder, r candle.Range) error {
			return json.MarshalEncode(e, Range{time.Unix(r.From, 0).UTC(), time.Unix(r.To, 0).UTC()})
		}),
		json.MarshalToFunc(func(e *jsontext.Encoder, s backfill.Stats) error { return json.MarshalEncode(e, counts(s)) }),
		json.MarshalToFunc(func(e *jsontext.Encoder, o backfill.Outcome) error { return json.MarshalEncode(e, outcome(o)) }),
	)),
)

func counts(s backfill.Stats) Counts {
	c := Counts{
		CandlesFetched: s.Fetched, CandlesInserted: s.Inserted, CandlesRejected: s.Rejected, CandlesDeduplicated: s.Deduplicated,
		ZeroVolumeCount: s.ZeroVolume, CandlesDropped: s.Dropped, APICalls: s.APICalls, Credits: s.Credits,
	}
	if s.SplitKnown() {
		c.CandlesShadowed, c.CandlesSkipped = &s.Shadowed, &s.Skipped
	}
	return c
}

func outcome(o backfill.Outcome) Outcome {
	written := Outcome{
		ChunkID: o.ChunkID, Token: o.Token, Range: o.Range, Status: o.Status, Counts: o.Stats, Error: o.Error, ErrorClass: o.ErrorClass,
		Source: o.Source, Files: o.Files, Executions: o.Executions, Worker: o.Worker, Version: o.Version, StartedAt: o.StartedAt, EndedAt: o.EndedAt,
	}
	if o.AnsweredTo > 0 {
		at := time.Unix(o.AnsweredTo, 0).UTC()
		written.AnsweredTo = &at
	}
	return written
}

// Marshal writes v on one line, for a browser: nothing in it is markup.
func Marshal(v any) ([]byte, error) { return json.Marshal(v, options, jsontext.EscapeForHTML(true)) }

// MarshalPage writes v on several lines, for a browser.
func MarshalPage(v any) ([]byte, error) {
	return json.Marshal(v, options, jsontext.EscapeForHTML(true), jsontext.WithIndent("  "))
}

// MarshalIndent writes v on several lines, for programs whose output people look at, too.
func MarshalIndent(v any) ([]byte, error) {
	return json.Marshal(v, options, jsontext.WithIndent("  "))
}

// Unmarshal reads what Marshal wrote into values that have a candle.Range; tests read documents with it.
func Unmarshal(data []byte, v any) error {
	return json.Unmarshal(data, v, jsonv1.DefaultOptionsV1(), json.WithUnmarshalers(json.UnmarshalFromFunc(func(d *jsontext.Decoder, r *candle.Range) error {
		var public Range
		err := json.UnmarshalDecode(d, &public)
		*r = candle.Range{From: public.From.Unix(), To: public.To.Unix()}
		return err
	})))
}
