DELETE FROM ohlcv_candle_versions
WHERE toYYYYMM(timestamp) = {month:UInt32} AND ingestion_run_id = {run_id:UUID}
SETTINGS lightweight_deletes_sync = 2
