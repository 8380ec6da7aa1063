-- The deployment's id, and by whom it was given.
SELECT deployment_id, generation
FROM ohlcv_deployments
ORDER BY generation DESC, recorded_at
LIMIT 1
