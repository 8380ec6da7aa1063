-- How often a run was rolled back so far.
SELECT count() FROM ohlcv_run_visibility WHERE event = 'rolled_back'
