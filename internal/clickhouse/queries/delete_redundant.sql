-- A lightweight delete: it marks rows, and a later merge drops them. The set of keys is that of one slice.
DELETE FROM ohlcv_candle_versions
WHERE toYYYYMM(timestamp) = {month:UInt32}
  AND (chain, token_address, interval_seconds, timestamp, rank, ingestion_run_id) IN
  (
      SELECT chain, token_address, interval_seconds, timestamp, rank, ingestion_run_id
      FROM ohlcv_redundant_versions
      WHERE operation_id = {operation_id:UUID}
  )
SETTINGS lightweight_deletes_sync = 2
