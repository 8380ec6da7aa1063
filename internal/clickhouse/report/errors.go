package report

import (
	"fmt"
	"strings"

	"github.com/google/uuid"
)

// AmbiguousRunError says that a prefix fits several runs.
type AmbiguousRunError struct {
	Prefix  string
	Matches []uuid.UUID // some of them, oldest first
}

// Error lists the runs.
func (e *AmbiguousRunError) Error() string {
	ids := make([]string, len(e.Matches))
	for i, id := range e.Matches {
		ids[i] = id.String()
	}
	return fmt.Sprintf("run %q is ambiguous, it could be %s", e.Prefix, strings.Join(ids, " or "))
}
