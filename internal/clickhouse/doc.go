// Package clickhouse keeps candles and the history of runs in ClickHouse. It implements the heart's CandleStore,
// LaunchHistory, FillHistory, FinishHistory and ReconcileHistory, and what operate asks of a history. What lists, pages and
// exports show is read by the package report over a DB.
//
// Two ideas carry everything. Candles are stored as versions: what each run stored for a key stays beside what others
// stored, and the view ohlcv_candles serves the best (Rank says which). And nothing is updated: tasks, the lifecycle and
// the visibility of runs are rows with a revision, of which the highest counts, so any write may come twice or late.
//
// The schema is in migrations, with the reason for each choice, and the statements are in queries.
//
// Inserts are acknowledged by the server before they return (asynchronous inserts are switched off for this
// connection, whatever the server's profile says). An acknowledged insert survives the death of the server process; it
// survives a power cut only as far as the server's fsync settings or its replicas say. When the acknowledgement is lost
// on the way, the caller sees an error and writes again, which changes nothing, because the same rows have the same
// keys: no insert deduplication of the server is relied on.
package clickhouse
