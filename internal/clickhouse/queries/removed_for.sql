-- What was removed, or skipped, for the sake of the run's versions, and would be needed without them. The run's own other
-- versions leave with it, and those of a purged run would be gone in any case.
SELECT
    month,
    toInt64(sum(versions_removed)) AS versions
FROM ohlcv_maintenance FINAL
WHERE beneficiary_run_id = {run_id:UUID} AND operation != 'purge'
  AND removed_run_id != beneficiary_run_id
  AND removed_run_id NOT IN (SELECT run_id FROM ohlcv_rolled_back_runs WHERE last_event = 'purging')
GROUP BY month
HAVING versions > 0
ORDER BY month
