CHECK GRANT INSERT ON ohlcv_deployment_redis
