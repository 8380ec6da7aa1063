SELECT count()
FROM ohlcv_rolled_back_runs
WHERE run_id IN (SELECT beneficiary_run_id FROM ohlcv_redundant_versions WHERE operation_id = {operation_id:UUID})
