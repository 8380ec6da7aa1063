-- recorded_at is left to the server: of two rows with the same revision the earlier counts.
INSERT INTO ohlcv_run_lifecycle ($columns)
