-- +goose NO TRANSACTION
-- +goose Up

-- What was served at a moment: the versions, stored by then, of the runs that had ended by then and were not rolled back
-- at that moment: SELECT ... FROM ohlcv_candles_as_of(as_of = '2025-03-01 12:00:00').
--
-- It refuses a moment for which a sweep or purge has removed versions that would be needed.
CREATE OR REPLACE VIEW ohlcv_candles_as_of AS
SELECT
    chain,
    token_address,
    interval_seconds,
    timestamp,
    open,
    high,
    low,
    close,
    volume,
    volume_usd,
    quality_score,
    source,
    source_tier,
    ingestion_run_id,
    ingested_at,
    script_version
FROM ohlcv_candle_versions FINAL
WHERE ingested_at <= {as_of:DateTime64(6, 'UTC')}
  AND ingestion_run_id IN
  (
      SELECT run_id
      FROM ohlcv_run_lifecycle
      WHERE phase = 'ended' AND completed_at <= {as_of:DateTime64(6, 'UTC')}
  )
  AND ingestion_run_id NOT IN
  (
      SELECT run_id
      FROM ohlcv_run_visibility
      WHERE recorded_at <= {as_of:DateTime64(6, 'UTC')}
      GROUP BY run_id
      HAVING argMax(event, (sequence, event)) != 'restored'
  )
  AND throwIf(
      (SELECT max(harmless_from) FROM ohlcv_maintenance FINAL WHERE versions_removed > 0 AND operation != 'inline')
          > {as_of:DateTime64(6, 'UTC')},
      'versions that were served at that moment have been removed by a sweep or purge') = 0
ORDER BY chain, token_address, interval_seconds, timestamp, rank, ingestion_run_id
LIMIT 1 BY chain, token_address, interval_seconds, timestamp
SETTINGS do_not_merge_across_partitions_select_final = 1;
