package report

import (
	"cmp"
	"context"
	"slices"
	"time"

	chdriver "github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/google/uuid"

	"quantbot/internal/backfill"
	"quantbot/internal/candle"
	"quantbot/internal/coverage"
	"quantbot/internal/manifest"
)

// maxTokensNamed is up to how many tokens are named in a query; beyond, all are read and the reader chooses.
const maxTokensNamed = 10_000

func coverageParams(q backfill.CoverageQuery) []any {
	addresses := []string{}
	if len(q.Tokens) <= maxTokensNamed {
		for _, token := range q.Tokens {
			addresses = append(addresses, token.Address)
		}
	}
	withoutFiles := uint8(0)
	if q.NoPublishedFiles {
		withoutFiles = 1
	}
	return []any{
		named("without_files", withoutFiles),
		named("sources", append([]string{}, q.Sources...)), named("validation", string(q.Validation)), named("interval", uint32(q.Interval)),
		named("from", storableTime(q.Range.From).Unix()), named("to", storableTime(q.Range.To).Unix()), named("tokens", addresses),
		named("as_of", formatMoment(cmp.Or(q.AsOf, endOfTime))), named("as_of_set", !q.AsOf.IsZero()),
		named("any", q.Any), named("covering_only", q.CoveringOnly),
		named("filtered", q.Outliers == manifest.OutliersFilter), named("filtering", append([]string{}, q.Filtering...)),
	}
}

// endOfTime is after everything that is recorded.
var endOfTime = time.Date(2200, 1, 1, 0, 0, 0, 0, time.UTC)

// FillCoverage adds the fetch records of the history to the coverage. Tokens other than those of the query may come, too.
func (db Reader) FillCoverage(ctx context.Context, q backfill.CoverageQuery, coverage *coverage.Filter) error {
	if err := db.rejectedRanges(ctx, q, coverage.AddRejected); err != nil {
		return err
	}
	q.CoveringOnly = true
	if err := db.fetchRecords(ctx, q, coverage.Add); err != nil {
		return err
	}
	aged, span := coverage.Aged()
	q.Range = span
	for part := range slices.Chunk(aged, tokensAtOnce) {
		q.Tokens = part
		if err := db.have(ctx, q, coverage.AddHave); err != nil {
			return err
		}
	}
	return nil
}

// tokensAtOnce is of how many tokens candles are looked through in one query.
const tokensAtOnce = 500

// The outcomes of fetch_records.sql beside failed, 0.
const (
	outcomeCancelled = 1
	outcomeAnswered  = 2
	outcomeHidden    = 3
)

// fetchRecords reads outcomes in order of token and time. Those that are hidden are yielded as hidden by their own runs.
func (db Reader) fetchRecords(ctx context.Context, q backfill.CoverageQuery, yield func(coverage.FetchRecord)) error {
	// The same few chains, tokens and runs come again and again: decoding into one struct saves their copies.
	var row struct {
		chain, token  string
		from, covered time.Time
		to            time.Time
		runID         uuid.UUID
		outcome       uint8
		confirmed     uint8
		defaulted     bool
		recorded      time.Time
	}
	err := db.rows(ctx, streamTimeout, fetchRecordsSQL, coverageParams(q), func(rows chdriver.Rows) error {
		err := rows.Scan(&row.chain, &row.token, &row.from, &row.covered, &row.to, &row.runID, &row.outcome, &row.confirmed, &row.defaulted, &row.recorded)
		if err != nil {
			return err
		}
		record := coverage.FetchRecord{
			Token: candle.Token{Chain: candle.Chain(row.chain), Address: row.token}, Range: candle.Range{From: row.from.Unix(), To: row.covered.Unix()},
			RunID: row.runID, Answered: row.outcome >= outcomeAnswered, Cancelled: row.outcome == outcomeCancelled, Confirmed: row.confirmed == 1,
			At: row.recorded, Defaulted: row.defaulted,
		}
		if row.outcome == outcomeHidden {
			record.HiddenBy = row.runID
		}
		if to := row.to.Unix(); to > record.Range.To {
			record.RequestedTo = to
		}
		yield(record)
		return nil
	})
	return db.failed("read fetch records", err)
}

func (db Reader) rejectedRanges(ctx context.Context, q backfill.CoverageQuery, yield func(coverage.RejectedRange)) error {
	var chain, token string
	var runID uuid.UUID
	var first, last uint32
	err := db.rows(ctx, streamTimeout, rejectedRangesSQL, coverageParams(q), func(rows chdriver.Rows) error {
		if err := rows.Scan(&chain, &token, &runID, &first, &last); err != nil {
			return err
		}
		yield(coverage.RejectedRange{
			Token: candle.Token{Chain: candle.Chain(chain), Address: token}, RunID: runID, Range: stretch(first, last, q.Interval),
		})
		return nil
	})
	return db.failed("read where candles were rejected", err)
}

// stretch reaches from the first to the end of the last candle.
func stretch(first, last uint32, interval candle.Interval) candle.Range {
	return candle.Range{From: int64(first), To: interval.Next(int64(last))}
}

// RequestedTokens are all that were ever asked for at the interval, by this run alone or, without one, by any, in order.
func (db Reader) RequestedTokens(ctx context.Context, interval candle.Interval, run uuid.UUID) ([]candle.Token, error) {
	type row struct {
		Chain string `ch:"chain"`
		Token string `ch:"token_address"`
	}
	rows, err := selectLong[row](ctx, db, requestedTokensSQL, named("interval", uint32(interval)), named("run", run))
	tokens := make([]candle.Token, len(rows))
	for i, r := range rows {
		tokens[i] = candle.Token{Chain: candle.Chain(r.Chain), Address: r.Token}
	}
	return tokens, db.failed("list the tokens that were asked for", err)
}

// RequestedTokensLike lists at most limit of the RequestedTokens whose name, with or without its chain, begins with the text.
func (db Reader) RequestedTokensLike(ctx context.Context, interval candle.Interval, begin string, limit int) ([]candle.Token, error) {
	type row struct {
		Chain string `ch:"chain"`
		Token string `ch:"token_address"`
	}
	rows, err := selectStructs[row](ctx, db, requestedTokensLikeSQL, named("interval", uint32(interval)), named("begin", begin), named("limit", limit))
	tokens := make([]candle.Token, len(rows))
	for i, r := range rows {
		tokens[i] = candle.Token{Chain: candle.Chain(r.Chain), Address: r.Token}
	}
	return tokens, db.failed("list the tokens that were asked for", err)
}

// TokenHistories yields what is known of each token of the query that was asked for, in order; it holds one batch of
// tokens in memory. An error of yield ends the reading and is returned as it is.
func (db Reader) TokenHistories(ctx context.Context, q backfill.CoverageQuery, yield func(coverage.TokenHistory) error) error {
	for begin := 0; begin < len(q.Tokens); begin += tokensAtOnce {
		part := q
		part.Tokens = q.Tokens[begin:min(begin+tokensAtOnce, len(q.Tokens))]
		if err := db.tokenHistories(ctx, part, yield); err != nil {
			return err
		}
	}
	return nil
}

func (db Reader) tokenHistories(ctx context.Context, q backfill.CoverageQuery, yield func(coverage.TokenHistory) error) error {
	known := make(map[candle.Token]*coverage.TokenHistory, len(q.Tokens))
	for _, token := range q.Tokens {
		known[token] = &coverage.TokenHistory{Token: token, Interval: q.Interval}
	}
	err := db.rejectedRanges(ctx, q, func(r coverage.RejectedRange) {
		if h := known[r.Token]; h != nil {
			h.Rejected = append(h.Rejected, r)
		}
	})
	if err != nil {
		return err
	}
	hidden := false
	err = db.fetchRecords(ctx, q, func(a coverage.FetchRecord) {
		if h := known[a.Token]; h != nil {
			h.Fetches = append(h.Fetches, a)
			hidden = hidden || a.HiddenBy != uuid.Nil
		}
	})
	if err == nil && hidden {
		err = db.nameHidden(ctx, q, known)
	}
	if err != nil {
		return err
	}
	err = db.have(ctx, q, func(token candle.Token, stretches []candle.Range) {
		if h := known[token]; h != nil {
			h.Have = stretches
		}
	})
	if err != nil {
		return err
	}
	for _, token := range q.Tokens {
		if err := yield(*known[token]); err != nil {
			return err
		}
	}
	return nil
}

// nameHidden replaces the runs that are hidden by those whose rollback hides them.
func (db Reader) nameHidden(ctx context.Context, q backfill.CoverageQuery, known map[candle.Token]*coverage.TokenHistory) error {
	hiddenBy := make(map[uuid.UUID]uuid.UUID)
	err := db.rows(ctx, queryTimeout, hiddenBySQL, coverageParams(q), func(rows chdriver.Rows) error {
		var run, by uuid.UUID
		err := rows.Scan(&run, &by)
		hiddenBy[run] = by
		return err
	})
	for _, h := range known {
		for i := range h.Fetches {
			if by, hidden := hiddenBy[h.Fetches[i].HiddenBy]; hidden {
				h.Fetches[i].HiddenBy = by
			}
		}
	}
	return db.failed("read which runs are hidden", err)
}

// have yields the stretches of the query's tokens in which no candle is missing. Other tokens may come, too.
func (db Reader) have(ctx context.Context, q backfill.CoverageQuery, yield func(candle.Token, []candle.Range)) error {
	var chains []string
	for _, token := range q.Tokens {
		if !slices.Contains(chains, string(token.Chain)) {
			chains = append(chains, string(token.Chain))
		}
	}
	var chain, address string
	err := db.rows(ctx, streamTimeout, haveSQL, append(coverageParams(q), named("chains", chains)), func(rows chdriver.Rows) error {
		var firsts, lasts []uint32
		if err := rows.Scan(&chain, &address, &firsts, &lasts); err != nil {
			return err
		}
		stretches := make([]candle.Range, len(firsts))
		for i := range firsts {
			stretches[i] = stretch(firsts[i], lasts[i], q.Interval)
		}
		yield(candle.Token{Chain: candle.Chain(chain), Address: address}, stretches)
		return nil
	})
	return db.failed("read which candles are there", err)
}
