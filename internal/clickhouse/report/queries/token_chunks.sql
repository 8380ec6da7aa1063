-- What a token was asked for within a range, each chunk of a run in its latest attempt (its success if it ever had one), the latest
-- first.
SELECT
    run_id,
    attempt,
    range_from,
    range_to,
    toString(status) AS status,
    source,
    candles_fetched,
    candles_inserted,
    candles_rejected,
    candles_deduplicated,
    candles_shadowed,
    candles_skipped,
    error_message,
    ended_at,
    run_id IN (SELECT run_id FROM ohlcv_rolled_back_runs) AS hidden
FROM
(
    SELECT *
    FROM ohlcv_ingestion_tasks
    PREWHERE token_address = {token:String}
    WHERE chain = {chain:String} AND interval_seconds = {interval:UInt32}
      AND range_from < toDateTime({to:UInt32}, 'UTC') AND range_to > toDateTime({from:UInt32}, 'UTC')
    ORDER BY run_id, chunk_id, status = 'success' DESC, attempt DESC, revision DESC
    LIMIT 1 BY run_id, chunk_id
)
ORDER BY ended_at DESC, run_id, range_from
LIMIT {limit:UInt32}
