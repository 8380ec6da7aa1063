// Package backfill is the heart of quantbot: it plans which candles to fetch, launches a run, fills its chunks, finishes
// it, and repairs runs whose processes died.
//
// The data flows one way:
//
//	Plan (pure) → Launch: history and ledger, then queue → Worker: admit → lease → adopt → Fill: source → check → store →
//	record in the ledger → Finish → history
//
// What an error leads to stands in one table, retry_policy.go.
//
// The package declares the interfaces that it calls (Source, CandleStore, Queue, and the views of ledger and history
// that each step needs) and knows no technology behind them. The package backfilltest has all of them in memory.
package backfill
