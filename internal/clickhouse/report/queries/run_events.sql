-- What became of a run, in time: its attempts, and who hid or restored it.
SELECT at, event, attempt, by, reason
FROM
(
    SELECT recorded_at AS at, if(phase = 'running', 'running', toString(status)) AS event, attempt, started_by AS by, '' AS reason
    FROM ohlcv_run_lifecycle
    WHERE run_id = {run_id:UUID}
    ORDER BY attempt, phase, recorded_at
    LIMIT 1 BY attempt, phase
    UNION ALL
    SELECT recorded_at AS at, toString(event) AS event, toUInt32(0) AS attempt, requested_by AS by, reason
    FROM ohlcv_run_visibility
    WHERE run_id = {run_id:UUID}
)
ORDER BY at
LIMIT 200
