-- Runs that were rolled back longer than the window ago, and those whose purge was begun.
SELECT
    run_id,
    toString(argMax(event, (sequence, event))) AS last_event,
    max(sequence) AS last,
    maxIf(recorded_at, event != 'restored') AS hidden_at
FROM ohlcv_run_visibility
GROUP BY run_id
HAVING last_event = 'purging' OR (last_event = 'rolled_back' AND hidden_at <= now64(6) - toIntervalSecond({window:UInt32}))
ORDER BY run_id
