CHECK GRANT INSERT ON ohlcv_run_lifecycle
