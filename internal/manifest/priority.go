package manifest

import "fmt"

// Priority says how often workers take a run's chunks when several runs wait. It changes nothing of what a run does.
type Priority string

// The priorities. The zero value, of manifests made before there were any, counts as normal.
const (
	PriorityLow    Priority = "low"
	PriorityNormal Priority = "normal"
	PriorityHigh   Priority = "high"
)

// ParsePriority reads "low", "normal" or "high".
func ParsePriority(s string) (Priority, error) {
	switch p := Priority(s); p {
	case PriorityLow, PriorityNormal, PriorityHigh:
		return p, nil
	}
	return "", fmt.Errorf("unknown priority %q (known: low, normal, high)", s)
}
