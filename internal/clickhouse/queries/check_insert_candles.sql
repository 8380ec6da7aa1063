CHECK GRANT INSERT ON ohlcv_candle_versions
