INSERT INTO ohlcv_deployment_signs (deployment_id, redis_id, clickhouse_server, redis_server, released, seen_at)
