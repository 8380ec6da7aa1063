-- rejected_at is left to the server, like ingested_at.
INSERT INTO ohlcv_rejected_candles (
    ingestion_run_id, run_started_at, rule, chain, token_address, interval_seconds, timestamp,
    open, high, low, close, volume, volume_usd, source, chunk_id, detail
)
