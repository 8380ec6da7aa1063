-- ingested_at is left to the server: one clock must decide between repeats.
INSERT INTO ohlcv_candle_versions (
    chain, token_address, interval_seconds, timestamp, rank, ingestion_run_id,
    open, high, low, close, volume, volume_usd,
    quality_score, source, source_tier, script_version
)
