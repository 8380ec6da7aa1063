-- How many runs there are by status, and how many ended badly since a moment without being failed. Only the columns that
-- it needs: the view would read every manifest. Of two rows with the same revision the earlier counts.
SELECT
    if(run_id IN (SELECT run_id FROM ohlcv_rolled_back_runs), 'rolled_back', last.1) AS status,
    count() AS runs,
    countIf(status IN ('completed', 'cancelled') AND last.2 AND ended_at >= fromUnixTimestamp64Milli({since:Int64}, 'UTC')) AS faulty
FROM
(
    SELECT
        run_id,
        argMax(
            (
                toString(status),
                (errors_count > 0 AND errors_count >= {rate:Float64} * planned_chunks)
                    OR (candles_rejected > 0 AND candles_rejected >= {rate:Float64} * candles_fetched)
                    OR candles_fetched != candles_inserted + candles_rejected + candles_deduplicated
            ),
            (attempt, phase, -toUnixTimestamp64Micro(recorded_at))
        ) AS last,
        max(completed_at) AS ended_at
    FROM ohlcv_run_lifecycle
    GROUP BY run_id
)
GROUP BY status
