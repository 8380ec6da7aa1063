package dashboard

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"quantbot/internal/backfill"
	"quantbot/internal/clickhouse/report"
)

type runsHistory interface {
	RunsPage(ctx context.Context, search report.RunSearch) ([]report.RunListItem, error)
	RunSources(ctx context.Context) ([]string, error)
}

const (
	runsPerPage    = 50
	mostRunsInPage = 200
	// liveRuns bounds how many running runs of a list are looked up in Redis, and liveWithin for how long.
	liveRuns   = 20
	liveWithin = time.Second
)

// runsData is a list of runs, the newest first.
type runsData struct {
	Runs []runItem `json:"runs"`
	// Older is the address of the next page; empty on the last one.
	Older string `json:"older,omitempty"`

	// Outages says that Redis does not answer: what it knows of running runs is missing here.
	Outages []string `json:"outages,omitempty"`

	Filter   runsFilter `json:"-"`
	Statuses []string   `json:"-"`
	Sources  []string   `json:"-"`
	Trend    trend      `json:"-"`
	// Running = something on the page still moves.
	Running bool `json:"-"`
	// Paged = this is not the first page.
	Paged bool `json:"-"`
}

// runItem is a run, with its live progress while it runs.
type runItem struct {
	report.RunListItem
	Progress *Progress `json:"progress,omitempty"`
}

// takeLive puts the live counts of a running run into its row, which has none before it ends.
func (r *runItem) takeLive(p Progress) {
	r.CandlesInserted, r.CandlesRejected, r.ErrorsCount = p.Inserted, p.Rejected, p.Failed
}

// ErrorRate is the share of chunks that failed.
func (r runItem) ErrorRate() float64 {
	if r.PlannedChunks == 0 {
		return 0
	}
	return float64(r.ErrorsCount) / float64(r.PlannedChunks)
}

// Took is how long the run went on; zero while it runs.
func (r runItem) Took() time.Duration {
	if r.CompletedAt == nil {
		return 0
	}
	return r.CompletedAt.Sub(r.StartedAt)
}

// runsFilter is the form as it was filled in.
type runsFilter struct{ Status, Source, Token, Since, Until, Search string }

// Any reports whether anything is filtered.
func (f runsFilter) Any() bool { return f != runsFilter{} }

func (d *Dashboard) runsPage() page {
	return page{path: "/", api: "/api/runs", template: "runs.html", section: "Runs", load: d.loadRuns}
}

func (d *Dashboard) loadRuns(r *http.Request) (content, error) {
	q := readQuery(r, d.cfg.Now)
	filter := runsFilter{
		Status: q.oneOf("status", backfill.RunStatusNames()...), Source: q.text("source"), Token: q.text("token"),
		Since: q.text("since"), Until: q.text("until"), Search: q.text("q"),
	}
	search := report.RunSearch{
		Status: filter.Status, Source: filter.Source, Token: filter.Token, Since: q.time("since"), Until: q.time("until"),
		Text: filter.Search, After: q.position("after"), Limit: q.number("limit", runsPerPage, mostRunsInPage),
	}
	if err := q.err(); err != nil {
		return content{}, err
	}
	limit := search.Limit
	search.Limit++ // one more says whether there is a next page
	rows, err := d.cfg.History.RunsPage(r.Context(), search)
	if err != nil {
		return content{}, err
	}
	data := runsData{Filter: filter, Statuses: backfill.RunStatusNames(), Paged: !search.After.StartedAt.IsZero()}
	if len(rows) > limit {
		rows = rows[:limit]
		data.Older = olderPage(r.URL, rows[limit-1])
	}
	data.Runs, data.Outages = d.withProgress(r.Context(), rows)
	data.Running = slices.ContainsFunc(data.Runs, func(run runItem) bool { return run.Status == string(backfill.StatusRunning) })
	data.Trend = newTrend(data.Runs)
	if data.Sources, err = d.cfg.History.RunSources(r.Context()); err != nil {
		return content{}, err
	}
	return content{Title: "Runs", Data: data}, nil
}

// withProgress adds what Redis knows of running runs. Without Redis the list stands without it.
func (d *Dashboard) withProgress(ctx context.Context, rows []report.RunListItem) (items []runItem, outages []string) {
	ctx, cancel := context.WithTimeout(ctx, liveWithin)
	defer cancel()
	items = make([]runItem, len(rows))
	looked := 0
	for i, row := range rows {
		items[i] = runItem{RunListItem: row}
		if row.Status != string(backfill.StatusRunning) || looked >= liveRuns || len(outages) > 0 {
			continue
		}
		looked++
		state, err := d.cfg.Live.State(ctx, row.RunID)
		if err != nil {
			if !errors.Is(err, backfill.ErrUnknownRun) {
				d.cfg.Logger.WarnContext(ctx, "progress not read", "run_id", row.RunID, "err", err)
				outages = d.ledgerAway(err)
			}
			continue
		}
		progress := newProgress(state)
		items[i].Progress = &progress
		items[i].takeLive(progress)
	}
	return items, outages
}

// position reads where a page begins: "1700000000000_<run id>".
func (q *query) position(name string) report.RunPosition {
	text := q.text(name)
	if text == "" {
		return report.RunPosition{}
	}
	at, id, _ := strings.Cut(text, "_")
	millis, err := strconv.ParseInt(at, 10, 64)
	runID, idErr := uuid.Parse(id)
	if err != nil || idErr != nil || millis < 0 || millis > latestMillis {
		q.problem("%s is not the position of a run", name)
		return report.RunPosition{}
	}
	return report.RunPosition{StartedAt: time.UnixMilli(millis).UTC(), RunID: runID}
}

// latestMillis is in the year 2105, the last that the columns hold whole.
const latestMillis = 4_260_211_200_000

// olderPage is the same address, going on behind the last run.
func olderPage(u *url.URL, last report.RunListItem) string {
	values := u.Query()
	values.Set("after", fmt.Sprintf("%d_%s", last.StartedAt.UnixMilli(), last.RunID))
	return "?" + values.Encode()
}
