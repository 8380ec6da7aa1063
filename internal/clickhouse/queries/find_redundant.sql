-- The redundant versions of a slice. With the versions of a candle ordered by rank and run, everything behind the best
-- version of a settled run is redundant to it: its quality is lower, or equal and its run older. The served version is
-- never behind. (An older version that equals a newer one could go in either direction; only the older one goes.)
-- Grouping along the key keeps one candle in memory at a time.
INSERT INTO ohlcv_redundant_versions
    (operation_id, chain, token_address, interval_seconds, timestamp, rank, ingestion_run_id, beneficiary_run_id)
SELECT {operation_id:UUID}, chain, token_address, interval_seconds, timestamp, version.1, version.2, best.2
FROM
(
    SELECT
        chain,
        token_address,
        interval_seconds,
        timestamp,
        minIf((rank, ingestion_run_id), settled) AS best,
        arrayFilter(x -> x > best, groupUniqArray((rank, ingestion_run_id))) AS redundant
    FROM
    (
        SELECT chain, token_address, interval_seconds, timestamp, rank, ingestion_run_id,
            ingestion_run_id IN
            (
                SELECT run_id
                FROM ohlcv_ingestion_runs
                WHERE status IN {ended:Array(String)}
                  AND completed_at <= now64(3) - toIntervalSecond({window:UInt32})
            ) AS settled
        FROM ohlcv_candle_versions
        WHERE toYYYYMM(timestamp) = {month:UInt32} AND interval_seconds = {interval:UInt32}
          AND (chain, token_address) >= ({from_chain:String}, {from_token:String})
          AND (chain, token_address) <= ({to_chain:String}, {to_token:String})
          AND ingestion_run_id NOT IN (SELECT run_id FROM ohlcv_rolled_back_runs)
    )
    GROUP BY chain, token_address, interval_seconds, timestamp
    HAVING countIf(settled) > 0 AND notEmpty(redundant)
)
ARRAY JOIN redundant AS version
SETTINGS optimize_aggregation_in_order = 1
