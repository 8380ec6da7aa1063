-- What was requested from these sources at this interval, by runs of this validation: every outcome, or those that count alone.
-- With any, it is by every run, of every source. With as_of it is what was known then, of the runs that had ended.
-- An empty list of tokens means all.
--
-- outcome: 0 failed, 1 cancelled, 2 answered, 3 answered by a run whose candles are hidden. It is rolled back, or versions of it are
-- gone for the sake of one that is (hidden_by.sql has which). Such an answer does not count: it only says what was asked for.
-- A chunk that is only planned has no outcome; where its run has failed or was cancelled, it shares that (its planner died, or it was
-- cancelled while it was planned; a retry plans only what has such an outcome already). Those of other runs are left out: nothing is
-- known yet.
-- A source's silence means something where it has itself given a candle of the token at any time (confirmed). An answer with
-- corrupt candles proves nothing any more once the quarantine, which says where they were, has expired (0005: 90 days).
-- A success covers up to where it was answered; of rows from before that was recorded, nothing that was still to come at their
-- moment. That is the earlier one of when the chunk ended by the clock of its worker and when the server wrote the row.
-- Answers are comparable when their runs asked for the same: outliers filtered, or kept, which is also the source's default where a
-- run does not say (defaulted).
-- Where published files are left out, what was read from them does not count.
-- PREWHERE: few tokens of many are chosen by one column, before the others are read.
-- FINAL is not needed: a success is one in any revision, and what is said twice changes nothing.
WITH
least(recorded_at, ifNull(ended_at, recorded_at)) AS moment,
undone AS
(
    SELECT run_id
    FROM ohlcv_run_visibility
    WHERE recorded_at <= {as_of:DateTime64(6, 'UTC')}
    GROUP BY run_id
    HAVING argMax(event, (sequence, event)) != 'restored'
),
hidden AS
(
    SELECT run_id FROM undone
    UNION ALL
    SELECT removed_run_id
    FROM ohlcv_maintenance FINAL
    WHERE operation != 'purge' AND versions_removed > 0 AND performed_at <= {as_of:DateTime64(6, 'UTC')}
      AND beneficiary_run_id IN (SELECT run_id FROM undone)
)
SELECT
    chain,
    token_address,
    range_from,
    if(status = 'success', greatest(range_from, least(range_to, ifNull(answered_to, toDateTime(intDiv(toUnixTimestamp(moment), interval_seconds) * interval_seconds, 'UTC')))), range_to) AS covered_to,
    range_to,
    run_id,
    multiIf(
        {covering_only:Bool}, 2,
        status = 'success', if(run_id IN (SELECT run_id FROM hidden), 3, 2),
        status = 'cancelled', 1,
        status = 'planned' AND run_id IN (SELECT run_id FROM ohlcv_run_lifecycle WHERE phase = 'ended' AND status = 'cancelled'), 1,
        0) AS outcome,
    (chain, token_address, source) IN
    (
        SELECT chain, token_address, source
        FROM ohlcv_ingestion_tasks
        PREWHERE empty({tokens:Array(String)}) OR token_address IN {tokens:Array(String)}
        WHERE interval_seconds = {interval:UInt32} AND ({any:Bool} OR source IN {sources:Array(String)}) AND candles_fetched > 0
          AND recorded_at <= {as_of:DateTime64(6, 'UTC')}
    )
    AND NOT
    (
        moment < now() - INTERVAL 89 DAY
        AND candles_rejected >
            if(if({any:Bool}, run_id IN (SELECT run_id FROM ohlcv_run_lifecycle WHERE validation = 'strict'), {validation:String} = 'strict'), zero_volume_count, 0)
    ) AS confirmed,
    source IN {filtering:Array(String)}
    AND run_id NOT IN (SELECT run_id FROM ohlcv_run_lifecycle WHERE outliers != '') AS defaulted,
    moment
FROM ohlcv_ingestion_tasks
PREWHERE empty({tokens:Array(String)}) OR token_address IN {tokens:Array(String)}
WHERE interval_seconds = {interval:UInt32}
  AND range_from < toDateTime({to:UInt32}, 'UTC') AND range_to > toDateTime({from:UInt32}, 'UTC')
  AND recorded_at <= {as_of:DateTime64(6, 'UTC')}
  AND (NOT {covering_only:Bool} OR status = 'success' AND range_from < covered_to AND run_id NOT IN (SELECT run_id FROM hidden))
  AND
  (
      status != 'planned' AND ({any:Bool} OR source IN {sources:Array(String)})
      OR NOT {covering_only:Bool} AND status = 'planned' AND run_id IN
      (
          SELECT run_id
          FROM ohlcv_run_lifecycle
          WHERE phase = 'ended' AND status IN ('failed', 'cancelled') AND ({any:Bool} OR source IN {sources:Array(String)})
      )
  )
  AND
  (
      {without_files:UInt8} = 0
      -- Rows of programs that did not say which files they read have no answered_to either.
      OR empty(files) AND answered_to IS NOT NULL
      OR run_id IN (SELECT run_id FROM ohlcv_run_lifecycle WHERE no_published_files)
  )
  AND
  (
      {any:Bool}
      OR run_id IN
      (
          SELECT run_id
          FROM ohlcv_run_lifecycle
          WHERE validation = {validation:String} AND interval_seconds = {interval:UInt32}
      )
      AND run_id IN (SELECT run_id FROM ohlcv_run_lifecycle WHERE outliers = 'filter') = {filtered:Bool}
  )
  AND
  (
      NOT {as_of_set:Bool}
      OR run_id IN
      (
          SELECT run_id
          FROM ohlcv_run_lifecycle
          WHERE phase = 'ended' AND completed_at <= {as_of:DateTime64(6, 'UTC')}
      )
  )
ORDER BY chain, token_address, range_from
