// Package backfilltest has what backfill calls, in memory: a ledger, a history with its candles, and a queue. Tests of the
// heart use them where no engine is needed. They are held to the real ones by suites that both pass: RunLedgerSuite,
// RunHistorySuite and RunQueueSuite.
//
// What happens to engines themselves, that they are lost, slow, full, or that processes die between two commands, stays with
// tests that use real ones. Before makes a method fail.
package backfilltest
