package manifest

import (
	"fmt"
	"os"
	"os/user"
	"time"

	"github.com/google/uuid"
)

// New fills in the id (UUIDv7), the start, who starts it and the build, and hides the secrets inside m's arguments; the
// rest of m is kept. now is in any zone.
func New(m Manifest, build Build, now time.Time) (Manifest, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return Manifest{}, fmt.Errorf("make a run id: %w", err)
	}
	m.RunID = id
	m.StartedAt = now.UTC().Truncate(time.Millisecond)
	m.StartedBy = startedBy()
	m.ScriptVersion = build.Version
	m.GitCommitHash = build.GitCommitHash
	m.GitBranch = build.GitBranch
	m.GitDirty = build.GitDirty
	m.CLIArgs = redactArgs(m.CLIArgs)
	return m, nil
}

func startedBy() string {
	name, host := Unknown, Unknown
	if u, err := user.Current(); err == nil {
		name = u.Username
	}
	if h, err := os.Hostname(); err == nil {
		host = h
	}
	return name + "@" + host
}
