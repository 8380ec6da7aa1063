package manifest

import "runtime/debug"

// Unknown stands where a fact could not be found out; nothing is ever guessed.
const Unknown = "unknown"

// Stamped by the Makefile through -ldflags -X; empty otherwise.
var version, gitCommit, gitBranch, gitDirty string

// Build says which code this program was built from.
type Build struct {
	Version       string `json:"version"`
	GitCommitHash string `json:"git_commit_hash"`
	GitBranch     string `json:"git_branch"`
	// GitDirty is nil when unknown.
	GitDirty  *bool  `json:"git_dirty"`
	GoVersion string `json:"go_version"`
}

// CurrentBuild reads what the linker stamped, else what the Go toolchain recorded, else Unknown.
func CurrentBuild() Build {
	b := Build{Version: version, GitCommitHash: gitCommit, GitBranch: gitBranch, GitDirty: parseDirty(gitDirty)}
	if info, ok := debug.ReadBuildInfo(); ok {
		b.fill(info)
	}
	for _, field := range []*string{&b.Version, &b.GitCommitHash, &b.GitBranch, &b.GoVersion} {
		if *field == "" {
			*field = Unknown
		}
	}
	return b
}

func (b *Build) fill(info *debug.BuildInfo) {
	b.GoVersion = info.GoVersion
	if b.Version == "" && info.Main.Version != "(devel)" {
		b.Version = info.Main.Version
	}
	stamped := b.GitCommitHash != ""
	for _, s := range info.Settings {
		switch {
		case s.Key == "vcs.revision" && !stamped:
			b.GitCommitHash = s.Value
		case s.Key == "vcs.modified" && !stamped:
			b.GitDirty = parseDirty(s.Value)
		}
	}
}

func parseDirty(s string) *bool {
	switch s {
	case "true", "false":
		dirty := s == "true"
		return &dirty
	}
	return nil
}
