// Package tasks carries runs over asynq: task types and payloads, enqueueing, serving, and what asynq is to do after an
// error by backfill.RetryPolicy. Nothing else in quantbot knows asynq.
//
// asynq only transports. What a run has done and what is left is in the ledger, so a task that runs twice, is lost, or is
// deleted by hand changes nothing.
package tasks
