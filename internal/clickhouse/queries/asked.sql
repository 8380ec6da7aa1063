-- What these sources were asked for at this interval, by runs that still count: not rolled back, of this validation, and
-- none whose versions are gone for the sake of a run that is rolled back (see 0006; a forced rollback leaves gaps there).
-- An empty list of tokens means all, an empty list of statuses those with an outcome.
--
-- A source's silence means something where it has given a candle of the token at any time (confirmed).
-- PREWHERE: few tokens of many are told apart by one column, before the others are read.
-- FINAL is not needed: a success is one in any revision, and what is said twice changes nothing.
SELECT
    chain,
    token_address,
    range_from,
    range_to,
    run_id,
    status = 'success' AS answered,
    (chain, token_address) IN
    (
        SELECT chain, token_address
        FROM ohlcv_ingestion_tasks
        PREWHERE empty({tokens:Array(String)}) OR token_address IN {tokens:Array(String)}
        WHERE interval_seconds = {interval:UInt32} AND source IN {sources:Array(String)} AND candles_fetched > 0
    ) AS confirmed,
    ifNull(ended_at, started_at) AS ended_at
FROM ohlcv_ingestion_tasks
PREWHERE empty({tokens:Array(String)}) OR token_address IN {tokens:Array(String)}
WHERE interval_seconds = {interval:UInt32}
  AND source IN {sources:Array(String)}
  AND status IN {statuses:Array(String)}
  AND range_from < toDateTime({to:UInt32}, 'UTC') AND range_to > toDateTime({from:UInt32}, 'UTC')
  AND run_id IN
  (
      SELECT run_id
      FROM ohlcv_run_lifecycle
      WHERE validation = {validation:String} AND interval_seconds = {interval:UInt32}
  )
  AND run_id NOT IN (SELECT run_id FROM ohlcv_rolled_back_runs)
  AND run_id NOT IN
  (
      SELECT removed_run_id
      FROM ohlcv_maintenance FINAL
      WHERE operation != 'purge' AND versions_removed > 0
        AND beneficiary_run_id IN (SELECT run_id FROM ohlcv_rolled_back_runs)
  )
ORDER BY chain, token_address, range_from
