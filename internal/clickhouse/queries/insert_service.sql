INSERT INTO ohlcv_services (source, service, moved, recorded_by)
