INSERT INTO ohlcv_deployment_redis (deployment_id, adoption, redis_id, redis_server, redis_address)
