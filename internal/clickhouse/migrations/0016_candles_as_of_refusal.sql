-- +goose NO TRANSACTION
-- +goose Up

-- As 0012, but it also refuses where a sweep or purge has left no row to read: a throwIf among the conditions on rows is
-- evaluated per row, and an empty answer passed for "nothing was served". Inside a subquery that aggregates, it is
-- evaluated once for each read, whatever the table holds.
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
  AND
  (
      SELECT throwIf(
          max(harmless_from) > {as_of:DateTime64(6, 'UTC')},
          'versions that were served at that moment have been removed by a sweep or purge')
      FROM ohlcv_maintenance FINAL
      WHERE versions_removed > 0 AND operation != 'inline'
  ) = 0
ORDER BY chain, token_address, interval_seconds, timestamp, rank, ingestion_run_id
LIMIT 1 BY chain, token_address, interval_seconds, timestamp
SETTINGS do_not_merge_across_partitions_select_final = 1;
