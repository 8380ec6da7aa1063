-- The runs whose candles are hidden (see fetch_records.sql), each with the run whose rollback hides them: mostly itself, otherwise the one for
-- whose sake versions of it were removed (see 0006; a forced rollback leaves gaps there).
WITH undone AS
(
    SELECT run_id
    FROM ohlcv_run_visibility
    WHERE recorded_at <= {as_of:DateTime64(6, 'UTC')}
    GROUP BY run_id
    HAVING argMax(event, (sequence, event)) != 'restored'
)
SELECT run_id, run_id AS hidden_by FROM undone
UNION ALL
SELECT removed_run_id AS run_id, min(beneficiary_run_id) AS hidden_by
FROM ohlcv_maintenance FINAL
WHERE operation != 'purge' AND versions_removed > 0 AND performed_at <= {as_of:DateTime64(6, 'UTC')}
  AND beneficiary_run_id IN (SELECT run_id FROM undone) AND removed_run_id NOT IN (SELECT run_id FROM undone)
GROUP BY removed_run_id
