-- What these sources were asked for at this interval, by runs that still count: not rolled back, of this validation, and
-- none whose versions are gone for the sake of a run that is rolled back (see 0006; a forced rollback leaves gaps there).
-- An empty list of tokens means all, an empty list of statuses those with an outcome.
--
-- A source's silence means something where it has itself given a candle of the token at any time (confirmed). An answer with
-- corrupt candles proves nothing any more once the quarantine, which says where they were, has expired (0005: 90 days).
-- A success covers up to where it was answered; of rows from before that was recorded, nothing that was still to come at their
-- moment. That is the earlier one of when the chunk ended by the clock of its worker and when the server wrote the row.
-- Answers are comparable when their runs asked for the same: outliers filtered, or kept, which is also the source's default where a
-- run does not say (defaulted).
-- Where published files are left out, what was read from them does not count.
-- PREWHERE: few tokens of many are told apart by one column, before the others are read.
-- FINAL is not needed: a success is one in any revision, and what is said twice changes nothing.
WITH least(recorded_at, ifNull(ended_at, recorded_at)) AS moment
SELECT
    chain,
    token_address,
    range_from,
    if(status = 'success', least(range_to, ifNull(answered_to, toDateTime(intDiv(toUnixTimestamp(moment), interval_seconds) * interval_seconds, 'UTC'))), range_to) AS covered_to,
    run_id,
    status = 'success' AS answered,
    (chain, token_address, source) IN
    (
        SELECT chain, token_address, source
        FROM ohlcv_ingestion_tasks
        PREWHERE empty({tokens:Array(String)}) OR token_address IN {tokens:Array(String)}
        WHERE interval_seconds = {interval:UInt32} AND source IN {sources:Array(String)} AND candles_fetched > 0
    )
    AND NOT
    (
        moment < now() - INTERVAL 89 DAY
        AND candles_rejected > if({validation:String} = 'strict', zero_volume_count, 0)
    ) AS confirmed,
    source IN {filtering:Array(String)}
    AND run_id NOT IN (SELECT run_id FROM ohlcv_run_lifecycle WHERE outliers != '') AS defaulted,
    moment
FROM ohlcv_ingestion_tasks
PREWHERE empty({tokens:Array(String)}) OR token_address IN {tokens:Array(String)}
WHERE interval_seconds = {interval:UInt32}
  AND source IN {sources:Array(String)}
  AND status IN {statuses:Array(String)}
  AND range_from < toDateTime({to:UInt32}, 'UTC') AND range_to > toDateTime({from:UInt32}, 'UTC')
  AND range_from < covered_to
  AND
  (
      {without_files:UInt8} = 0
      -- Rows of programs that did not say which files they read have no answered_to either.
      OR empty(files) AND answered_to IS NOT NULL
      OR run_id IN (SELECT run_id FROM ohlcv_run_lifecycle WHERE no_published_files)
  )
  AND run_id IN
  (
      SELECT run_id
      FROM ohlcv_run_lifecycle
      WHERE validation = {validation:String} AND interval_seconds = {interval:UInt32}
  )
  AND run_id IN (SELECT run_id FROM ohlcv_run_lifecycle WHERE outliers = 'filter') = {filtered:Bool}
  AND run_id NOT IN (SELECT run_id FROM ohlcv_rolled_back_runs)
  AND run_id NOT IN
  (
      SELECT removed_run_id
      FROM ohlcv_maintenance FINAL
      WHERE operation != 'purge' AND versions_removed > 0
        AND beneficiary_run_id IN (SELECT run_id FROM ohlcv_rolled_back_runs)
  )
ORDER BY chain, token_address, range_from
