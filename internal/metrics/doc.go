// Package metrics counts what a process does, for Prometheus, and reports whether the process is alive and ready. Labels
// hold words of small, closed sets only: never a token, a run or an account. docs/operations.md explains each metric.
package metrics
