-- Attempts whose bad end was written since a moment and not delivered yet: failed, or with many failed chunks or rejected
-- candles, or with numbers that do not add up.
--
-- The log and not the view, because an attempt that failed is news even when the next one has begun. By when the end was
-- written and not by when it was, because the history may have been away for longer than we look back. Of two ends of an
-- attempt the first counts.
SELECT *
FROM
(
    SELECT
        run_id, attempt, toString(status) AS status, assumeNotNull(completed_at) AS ended_at, error_message, source, started_by,
        errors_count, cancelled_chunks, planned_chunks, candles_fetched, candles_inserted, candles_rejected, candles_deduplicated,
        candles_shadowed, candles_skipped
    FROM ohlcv_run_lifecycle
    WHERE phase = 'ended' AND recorded_at >= fromUnixTimestamp64Milli({since:Int64}, 'UTC')
    ORDER BY run_id, attempt, recorded_at
    LIMIT 1 BY run_id, attempt
)
WHERE (status = 'failed'
        OR (errors_count > 0 AND errors_count >= {rate:Float64} * planned_chunks)
        OR (candles_rejected > 0 AND candles_rejected >= {rate:Float64} * candles_fetched)
        OR candles_fetched != candles_inserted + candles_rejected + candles_deduplicated)
    AND (run_id, attempt) NOT IN (SELECT run_id, attempt FROM ohlcv_alerts WHERE has({kinds:Array(String)}, kind))
ORDER BY ended_at, run_id
LIMIT {limit:UInt64}
