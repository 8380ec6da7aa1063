-- The candles whose close differs most between two runs, by the share of the first run's close; then those whose volume
-- does.
SELECT
    chain,
    token_address,
    timestamp,
    a.4 AS close_a,
    b.4 AS close_b,
    a.5 AS volume_a,
    b.5 AS volume_b,
    if(a.4 = 0, abs(b.4), abs(b.4 - a.4) / abs(a.4)) AS close_change
FROM
(
    SELECT
        chain,
        token_address,
        timestamp,
        argMinIf((open, high, low, close, volume, volume_usd), rank, ingestion_run_id = {a:UUID}) AS a,
        argMinIf((open, high, low, close, volume, volume_usd), rank, ingestion_run_id = {b:UUID}) AS b
    FROM ohlcv_candle_versions FINAL
    WHERE (chain, token_address) IN (SELECT chain, token_address FROM ohlcv_ingestion_tasks WHERE run_id IN ({a:UUID}, {b:UUID}))
      AND ingestion_run_id IN ({a:UUID}, {b:UUID})
    GROUP BY chain, token_address, interval_seconds, timestamp
    HAVING uniqExact(ingestion_run_id) = 2 AND a != b
)
ORDER BY close_change DESC, abs(b.5 - a.5) DESC, chain, token_address, timestamp
LIMIT {limit:UInt32}
SETTINGS optimize_aggregation_in_order = 1, do_not_merge_across_partitions_select_final = 1
