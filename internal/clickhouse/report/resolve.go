package report

import (
	"context"
	"fmt"
	"strings"

	"github.com/google/uuid"

	"quantbot/internal/backfill"
)

// minRunPrefix: run ids begin with their time; eight digits stand for about a minute.
const minRunPrefix = 8

// ErrNoRunID means that a text is neither a run id nor the beginning of one.
var ErrNoRunID = fmt.Errorf("give a run id or at least its first %d characters: %w", minRunPrefix, backfill.ErrUnknownRun)

// ResolveRunID completes the beginning of a run id, of at least eight characters. A whole id is returned without asking,
// because a run may be known to the ledger alone. The errors are ErrNoRunID (a backfill.ErrUnknownRun, too),
// backfill.ErrUnknownRun, *AmbiguousRunError and those of the store.
func (db Reader) ResolveRunID(ctx context.Context, prefix string) (uuid.UUID, error) {
	prefix = strings.ToLower(strings.TrimSpace(prefix))
	if id, err := uuid.Parse(prefix); err == nil {
		return id, nil
	}
	if len(prefix) < minRunPrefix || strings.Trim(prefix, "0123456789abcdef-") != "" {
		return uuid.Nil, fmt.Errorf("run %q: %w", prefix, ErrNoRunID)
	}
	type match struct {
		RunID uuid.UUID `ch:"run_id"`
	}
	matches, err := selectStructs[match](ctx, db, resolveRunSQL, named("prefix", prefix))
	if err != nil {
		return uuid.Nil, db.failed(fmt.Sprintf("look up run %q", prefix), err)
	}
	switch len(matches) {
	case 0:
		return uuid.Nil, fmt.Errorf("run %q: %w", prefix, backfill.ErrUnknownRun)
	case 1:
		return matches[0].RunID, nil
	}
	ambiguous := &AmbiguousRunError{Prefix: prefix}
	for _, m := range matches {
		ambiguous.Matches = append(ambiguous.Matches, m.RunID)
	}
	return uuid.Nil, ambiguous
}
