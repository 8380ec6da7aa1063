-- Only what a plan knows; everything of the outcome keeps its empty default.
INSERT INTO ohlcv_ingestion_tasks (
    run_id, attempt, chunk_id, chain, token_address, interval_seconds, range_from, range_to, status
)
