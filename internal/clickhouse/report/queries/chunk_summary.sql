-- How the run's chunks ended and how long they took, chosen as in tasks.sql.
SELECT
    toString(status) AS status,
    count() AS chunks,
    countIf(executions > 1) AS repeated,
    quantile(0.5)(took) AS median_ms,
    quantile(0.95)(took) AS p95_ms,
    max(took) AS longest_ms,
    max(ended_at) AS last_end
FROM
(
    SELECT status, executions, ended_at, dateDiff('millisecond', started_at, ended_at) AS took
    FROM ohlcv_ingestion_tasks FINAL
    WHERE run_id = {run_id:UUID}
    ORDER BY chunk_id, status = 'success' DESC, attempt DESC
    LIMIT 1 BY chunk_id
)
GROUP BY status
ORDER BY status
