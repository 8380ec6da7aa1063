-- What two runs stored for the same candles, per token, most differences first; each run by its best version. Grouping along
-- the key holds one candle at a time.
SELECT
    chain,
    token_address,
    toInt64(countIf(in_a AND NOT in_b)) AS only_a,
    toInt64(countIf(in_b AND NOT in_a)) AS only_b,
    toInt64(countIf(in_a AND in_b AND a = b)) AS same,
    toInt64(countIf(in_a AND in_b AND a != b)) AS different
FROM
(
    SELECT
        chain,
        token_address,
        countIf(ingestion_run_id = {a:UUID}) > 0 AS in_a,
        countIf(ingestion_run_id = {b:UUID}) > 0 AS in_b,
        argMinIf((open, high, low, close, volume, volume_usd), rank, ingestion_run_id = {a:UUID}) AS a,
        argMinIf((open, high, low, close, volume, volume_usd), rank, ingestion_run_id = {b:UUID}) AS b
    FROM ohlcv_candle_versions FINAL
    WHERE (chain, token_address) IN (SELECT chain, token_address FROM ohlcv_ingestion_tasks WHERE run_id IN ({a:UUID}, {b:UUID}))
      AND ingestion_run_id IN ({a:UUID}, {b:UUID})
    GROUP BY chain, token_address, interval_seconds, timestamp
)
GROUP BY chain, token_address
ORDER BY different DESC, only_a + only_b DESC, chain, token_address
LIMIT {limit:UInt32}
SETTINGS optimize_aggregation_in_order = 1, do_not_merge_across_partitions_select_final = 1
