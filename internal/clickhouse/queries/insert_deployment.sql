INSERT INTO ohlcv_deployments (generation, deployment_id, recorded_by)
