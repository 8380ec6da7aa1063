-- What was removed, or skipped, for the sake of the run's versions.
SELECT
    month,
    toInt64(sum(versions_removed)) AS versions
FROM ohlcv_maintenance FINAL
WHERE beneficiary_run_id = {run_id:UUID} AND operation != 'purge'
GROUP BY month
HAVING versions > 0
ORDER BY month
