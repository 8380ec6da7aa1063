-- The stretches of tokens without a missing candle, one row per token: where each begins and ends (open times).
--
-- A candle is there when any run that is not rolled back has a version of it, so neither FINAL nor the rank matters, and only
-- the key is read. Grouping along the key holds one token at a time; candles in a row differ by the interval.
-- With as_of it is what was there then, of the runs that had ended (see 0012).
WITH
    arrayCompact(arraySort(groupArray(toUInt32(timestamp)))) AS opens,
    arrayDifference(opens) AS steps
SELECT
    chain,
    token_address,
    arrayFilter((open, step) -> step != {interval:UInt32}, opens, steps) AS firsts,
    arrayFilter((open, step) -> step != {interval:UInt32}, opens, arrayPushBack(arrayPopFront(steps), 0)) AS lasts
FROM ohlcv_candle_versions
WHERE chain IN {chains:Array(String)} AND token_address IN {tokens:Array(String)} AND interval_seconds = {interval:UInt32}
  AND timestamp >= toDateTime({from:UInt32}, 'UTC') AND timestamp < toDateTime({to:UInt32}, 'UTC')
  AND ingestion_run_id NOT IN
  (
      SELECT run_id
      FROM ohlcv_run_visibility
      WHERE recorded_at <= {as_of:DateTime64(6, 'UTC')}
      GROUP BY run_id
      HAVING argMax(event, (sequence, event)) != 'restored'
  )
  AND
  (
      NOT {as_of_set:Bool}
      OR ingested_at <= {as_of:DateTime64(6, 'UTC')}
      AND ingestion_run_id IN
      (
          SELECT run_id
          FROM ohlcv_run_lifecycle
          WHERE phase = 'ended' AND completed_at <= {as_of:DateTime64(6, 'UTC')}
      )
  )
GROUP BY chain, token_address
SETTINGS optimize_aggregation_in_order = 1
