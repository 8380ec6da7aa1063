INSERT INTO ohlcv_run_visibility (run_id, sequence, event, requested_by, reason)
