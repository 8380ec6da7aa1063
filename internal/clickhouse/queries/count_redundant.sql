-- What an operation found, per beneficiary and loser, and from when on the removal harms no as-of read: when the
-- beneficiary had ended (and that was written: its own clock may be behind the server's) and was not rolled back.
SELECT
    beneficiary_run_id,
    ingestion_run_id AS removed_run_id,
    toUInt64(count()) AS versions,
    max(greatest(ended.at, shown.at)) AS harmless_from
FROM ohlcv_redundant_versions AS found
LEFT JOIN (SELECT run_id, max(greatest(completed_at, recorded_at)) AS at FROM ohlcv_run_lifecycle WHERE phase = 'ended' GROUP BY run_id) AS ended
    ON ended.run_id = found.beneficiary_run_id
LEFT JOIN (SELECT run_id, max(recorded_at) AS at FROM ohlcv_run_visibility WHERE event = 'restored' GROUP BY run_id) AS shown
    ON shown.run_id = found.beneficiary_run_id
WHERE operation_id = {operation_id:UUID}
GROUP BY beneficiary_run_id, removed_run_id
SETTINGS join_use_nulls = 0
