CHECK GRANT INSERT ON ohlcv_ingestion_tasks
