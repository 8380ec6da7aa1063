-- As answers.sql, of an earlier moment: of the runs that count in the candles of that moment.
WITH hidden AS
(
    SELECT run_id
    FROM ohlcv_run_visibility
    WHERE recorded_at <= {as_of:DateTime64(6, 'UTC')}
    GROUP BY run_id
    HAVING argMax(event, (sequence, event)) != 'restored'
),
least(recorded_at, ifNull(ended_at, recorded_at)) AS moment
SELECT chain, token_address, toUInt32(range_from), toUInt32(least(range_to, ifNull(answered_to, toDateTime(intDiv(toUnixTimestamp(moment), interval_seconds) * interval_seconds, 'UTC')))) AS answered_end
FROM ohlcv_ingestion_tasks
WHERE interval_seconds = {interval:UInt32}
  AND status = 'success'
  AND recorded_at <= {as_of:DateTime64(6, 'UTC')}
  AND range_from < toDateTime({to:UInt32}, 'UTC') AND range_to > toDateTime({from:UInt32}, 'UTC')
  AND toUInt32(range_from) < answered_end
  AND (chain, token_address, source) IN
  (
      SELECT chain, token_address, source
      FROM ohlcv_ingestion_tasks
      WHERE interval_seconds = {interval:UInt32} AND candles_fetched > 0 AND recorded_at <= {as_of:DateTime64(6, 'UTC')}
  )
  AND run_id IN
  (
      SELECT run_id
      FROM ohlcv_run_lifecycle
      WHERE phase = 'ended' AND completed_at <= {as_of:DateTime64(6, 'UTC')}
  )
  AND run_id NOT IN (SELECT run_id FROM hidden)
  AND run_id NOT IN
  (
      SELECT removed_run_id
      FROM ohlcv_maintenance FINAL
      WHERE operation != 'purge' AND versions_removed > 0 AND performed_at <= {as_of:DateTime64(6, 'UTC')}
        AND beneficiary_run_id IN (SELECT run_id FROM hidden)
  )
  AND NOT
  (
      moment < now() - INTERVAL 89 DAY
      AND candles_rejected > if(run_id IN (SELECT run_id FROM ohlcv_run_lifecycle WHERE validation = 'strict'), zero_volume_count, 0)
  )
  AND (empty({tokens:Array(String)}) OR token_address IN {tokens:Array(String)})
ORDER BY chain, token_address, range_from
