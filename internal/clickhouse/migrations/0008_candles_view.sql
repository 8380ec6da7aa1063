-- +goose NO TRANSACTION
-- +goose Up

-- What people query: the best version of each candle, without the runs that are rolled back.
--
-- FINAL settles repeats of one run (see 0001); ORDER BY along the primary key and LIMIT 1 BY choose between runs, by
--   reading in order. Predicates on chain, token_address, interval_seconds and timestamp reach the primary key through
--   the LIMIT BY, because they are on its columns.
-- do_not_merge_across_partitions_select_final: the month is a function of the key, so months never share a row, and
--   merged months cost FINAL nothing.
CREATE OR REPLACE VIEW ohlcv_candles AS
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
WHERE ingestion_run_id NOT IN (SELECT run_id FROM ohlcv_rolled_back_runs)
ORDER BY chain, token_address, interval_seconds, timestamp, rank, ingestion_run_id
LIMIT 1 BY chain, token_address, interval_seconds, timestamp
SETTINGS do_not_merge_across_partitions_select_final = 1;
