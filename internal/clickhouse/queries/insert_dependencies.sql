INSERT INTO ohlcv_run_reliances (relied_on_run_id, run_id, candles)
