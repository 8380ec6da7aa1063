// Package tasks carries runs over asynq: task types and payloads, enqueueing, the handlers that workers run, and the one
// place where an error's class becomes a retry or an end. Nothing else in quantbot knows asynq.
//
// asynq only transports. What a run has done and what is left is in the ledger, so a task that runs twice, is lost, or is
// deleted by hand changes nothing.
package tasks
