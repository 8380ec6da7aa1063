package dashboard

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"

	"quantbot/internal/backfill"
	"quantbot/internal/clickhouse/report"
	"quantbot/internal/operate"
)

type runHistory interface {
	ResolveRunID(ctx context.Context, prefix string) (uuid.UUID, error)
	RunDetails(ctx context.Context, runID uuid.UUID) (backfill.RunRow, error)
	RunEvents(ctx context.Context, runID uuid.UUID) ([]report.RunEvent, error)
	FailedChunks(ctx context.Context, runID uuid.UUID) ([]report.FailedGroup, error)
	RejectedByRule(ctx context.Context, runID uuid.UUID) ([]report.RejectedCount, error)
	ChunkSummaries(ctx context.Context, runID uuid.UUID) ([]report.ChunkSummary, error)
	ChunksPage(ctx context.Context, runID uuid.UUID, page report.ChunkPage) ([]report.TaskDetails, error)
}

const (
	chunksPerPage     = 50
	mostChunksInPage  = 500
	mostChunkPages    = 100_000
	actionsOfRunShown = 20
)

var (
	chunkStatuses = []string{"planned", "success", "failed", "cancelled"}
	chunkOrders   = []string{report.OrderByToken, report.OrderBySlowest, report.OrderByTries, report.OrderByMostFound}
)

// runData is everything about a run.
type runData struct {
	Run backfill.RunRow `json:"run"`
	// Identity is whether fetched = inserted + rejected + deduplicated.
	Identity bool      `json:"identity_holds"`
	Progress *Progress `json:"progress,omitempty"`
	// Outages says that Redis does not answer: what it knows is missing here.
	Outages []string `json:"outages,omitempty"`

	Events    []report.RunEvent               `json:"events"`
	Summaries []report.ChunkSummary           `json:"chunks_by_status"`
	Failures  []report.FailedGroup            `json:"failures"`
	Rejected  []report.RejectedCount          `json:"rejected_by_rule"`
	Repairs   map[backfill.RepairAction]int64 `json:"repairs,omitempty"`
	Actions   []backfill.OperatorAction       `json:"actions"`
	Chunks    chunksData                      `json:"chunks"`
	Args      []pair                          `json:"-"`
	Env       []pair                          `json:"-"`
	Offered   []operate.Action                `json:"-"`
	Done      string                          `json:"-"`
}

// pair is a name with its value.
type pair struct{ Name, Value string }

// chunksData is a page of the run's chunks.
type chunksData struct {
	Tasks []report.TaskDetails `json:"tasks"`
	Page  int                  `json:"page"` // from 1
	More  bool                 `json:"more"`

	Status, Token, Order string   `json:"-"`
	Statuses, Orders     []string `json:"-"`
}

// ErrorRate is the share of chunks that failed.
func (d runData) ErrorRate() float64 { return ratio(d.Run.ErrorsCount, d.Run.PlannedChunks) }

// Took is how long the run went on, until now while it runs.
func (d runData) Took() time.Duration {
	if d.Run.CompletedAt == nil {
		return 0
	}
	return d.Run.CompletedAt.Sub(d.Run.StartedAt)
}

// Unrecorded is how many chunks have no row at all: their plan is still being written.
func (d runData) Unrecorded() int64 {
	left := d.Run.PlannedChunks
	for _, s := range d.Summaries {
		left -= int64(s.Chunks)
	}
	return max(left, 0)
}

func ratio(part, whole int64) float64 {
	if whole == 0 {
		return 0
	}
	return float64(part) / float64(whole)
}

func (d *Dashboard) runPage() page {
	return page{path: "/runs/{id}", template: "run.html", section: "Runs", load: d.loadRun}
}

// resolveRun reads the run of the address: a whole id, or the beginning of one.
func (d *Dashboard) resolveRun(r *http.Request) (uuid.UUID, error) {
	return d.cfg.History.ResolveRunID(r.Context(), r.PathValue("id"))
}

func (d *Dashboard) loadRun(r *http.Request) (content, error) {
	q := readQuery(r, d.cfg.Now)
	chunks := report.ChunkPage{
		Status: q.oneOf("chunk_status", chunkStatuses...), Token: q.text("chunk_token"), Order: q.oneOf("order", chunkOrders...),
		Limit: q.number("limit", chunksPerPage, mostChunksInPage),
	}
	pageNumber := q.number("page", 1, mostChunkPages)
	done := q.oneOf("did", actionNames...)
	if err := q.err(); err != nil {
		return content{}, err
	}
	runID, err := d.resolveRun(r)
	if err != nil {
		return content{}, err
	}
	run, err := d.cfg.History.RunDetails(r.Context(), runID)
	if err != nil {
		return content{}, err
	}
	data := runData{Run: run, Done: done, Offered: operate.Offered(backfill.RunStatus(run.Status))}
	data.Identity = run.Stats().Balanced()
	if err := d.readRun(r.Context(), &data, chunks, pageNumber); err != nil {
		return content{}, err
	}
	d.readLive(r.Context(), &data)
	data.Args, data.Env = pairs(run.CLIArgs), pairs(run.EnvInfo)
	return content{Title: "Run " + shortID(runID), Data: data}, nil
}

// readRun asks side by side what does not depend on one another.
func (d *Dashboard) readRun(ctx context.Context, data *runData, chunks report.ChunkPage, number int) error {
	runID, history := data.Run.RunID, d.cfg.History
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() (err error) { data.Events, err = history.RunEvents(ctx, runID); return err })
	group.Go(func() (err error) { data.Summaries, err = history.ChunkSummaries(ctx, runID); return err })
	group.Go(func() (err error) { data.Failures, err = history.FailedChunks(ctx, runID); return err })
	group.Go(func() (err error) { data.Rejected, err = history.RejectedByRule(ctx, runID); return err })
	group.Go(func() (err error) {
		data.Actions, err = history.OperatorActions(ctx, runID, actionsOfRunShown)
		return err
	})
	group.Go(func() error {
		limit := chunks.Limit
		chunks.Offset, chunks.Limit = (number-1)*limit, limit+1
		tasks, err := history.ChunksPage(ctx, runID, chunks)
		data.Chunks = chunksData{
			Tasks: tasks[:min(len(tasks), limit)], Page: number, More: len(tasks) > limit,
			Status: chunks.Status, Token: chunks.Token, Order: cmp.Or(chunks.Order, report.OrderByToken),
			Statuses: chunkStatuses, Orders: chunkOrders,
		}
		return err
	})
	return group.Wait()
}

// readLive adds what Redis knows. It is nice to know: without Redis the page stands without it.
func (d *Dashboard) readLive(ctx context.Context, data *runData) {
	ctx, cancel := context.WithTimeout(ctx, liveWithin)
	defer cancel()
	runID := data.Run.RunID
	repairs, err := d.cfg.Live.Repairs(ctx, runID)
	if err != nil {
		data.Outages = d.ledgerAway(err)
		d.cfg.Logger.WarnContext(ctx, "repairs not read", "run_id", runID, "err", err)
		return
	}
	data.Repairs = repairs
	if data.Run.Status != string(backfill.StatusRunning) {
		return
	}
	state, err := d.cfg.Live.State(ctx, runID)
	if err != nil {
		if !errors.Is(err, backfill.ErrUnknownRun) {
			d.cfg.Logger.WarnContext(ctx, "progress not read", "run_id", runID, "err", err)
			data.Outages = d.ledgerAway(err)
		}
		return
	}
	progress := newProgress(state)
	data.Progress = &progress
	data.Run.TakeLive(state)
	data.Identity = data.Run.Stats().Balanced()
}

// ledgerAway says in words that Redis does not answer, in those of the watch on it where that knows.
func (d *Dashboard) ledgerAway(err error) []string {
	for _, w := range d.cfg.Live.Outages(silentFor) {
		if w.On == backfill.LedgerName {
			return []string{w.Short()}
		}
	}
	return []string{backfill.OutageWait(backfill.LedgerName, d.cfg.Now(), err).Short()}
}

// pairs are the members of a JSON object by name; values that are no texts are shown as JSON.
func pairs(object json.RawMessage) []pair {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(object, &members); err != nil {
		return nil
	}
	list := make([]pair, 0, len(members))
	for name, raw := range members {
		var text string
		if err := json.Unmarshal(raw, &text); err != nil {
			text = string(raw)
		}
		list = append(list, pair{name, text})
	}
	slices.SortFunc(list, func(a, b pair) int { return cmp.Compare(a.Name, b.Name) })
	return list
}

// ChunkLink is the address of a page of chunks.
func (c chunksData) ChunkLink(page int) string {
	return "?" + encodeQuery(map[string]string{
		"chunk_status": c.Status, "chunk_token": c.Token, "order": c.Order, "page": fmt.Sprint(page),
	}) + "#chunks"
}
