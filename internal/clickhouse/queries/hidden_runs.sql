SELECT run_id
FROM ohlcv_rolled_back_runs
WHERE has({runs:Array(UUID)}, run_id)
