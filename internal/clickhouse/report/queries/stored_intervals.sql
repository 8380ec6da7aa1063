-- The intervals at which the range has candles that are not hidden, now or as of a moment (see have.sql). No addresses means all tokens.
SELECT DISTINCT interval_seconds
FROM ohlcv_candle_versions
WHERE (empty({addresses:Array(String)}) OR (toString(chain), token_address) IN
      (SELECT t.1, t.2 FROM (SELECT arrayJoin(arrayZip({chains:Array(String)}, {addresses:Array(String)})) AS t)))
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
ORDER BY interval_seconds
