-- How many candles of the run bring nothing over what the other visible runs serve: their best version comes first, or is
-- the same. FINAL, because the values of a repeated version count. Grouping along the key holds one candle at a time.
SELECT count()
FROM
(
    SELECT
        minIf((rank, ingestion_run_id), ingestion_run_id = {run_id:UUID}) AS own,
        minIf((rank, ingestion_run_id), ingestion_run_id != {run_id:UUID}) AS other,
        argMinIf((quality_score, open, high, low, close, volume, volume_usd), (rank, ingestion_run_id),
            ingestion_run_id = {run_id:UUID}) AS own_values,
        argMinIf((quality_score, open, high, low, close, volume, volume_usd), (rank, ingestion_run_id),
            ingestion_run_id != {run_id:UUID}) AS other_values
    FROM ohlcv_candle_versions FINAL
    WHERE (chain, token_address) IN (SELECT chain, token_address FROM ohlcv_ingestion_tasks WHERE run_id = {run_id:UUID})
      AND interval_seconds = {interval:UInt32}
      AND timestamp >= toDateTime({from:UInt32}, 'UTC') AND timestamp < toDateTime({to:UInt32}, 'UTC')
      AND ingestion_run_id NOT IN (SELECT run_id FROM ohlcv_rolled_back_runs)
    GROUP BY chain, token_address, interval_seconds, timestamp
    HAVING countIf(ingestion_run_id = {run_id:UUID}) > 0 AND countIf(ingestion_run_id != {run_id:UUID}) > 0
       AND (other < own OR own_values = other_values)
)
SETTINGS optimize_aggregation_in_order = 1, do_not_merge_across_partitions_select_final = 1
