SELECT
    max(sequence) AS last,
    if(count() = 0, '', toString(argMax(event, (sequence, event)))) AS last_event
FROM ohlcv_run_visibility
WHERE run_id = {run_id:UUID}
