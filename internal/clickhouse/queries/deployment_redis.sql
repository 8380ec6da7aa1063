-- Every Redis that the deployment ever adopted, the one that counts first, with the last sign of life of its processes. A
-- Redis without a sign has the time zero. FINAL is not needed: the latest sign is looked for.
SELECT
    adopted.redis_id AS redis_id,
    adopted.adoption AS adoption,
    adopted.redis_address AS redis_address,
    if(signs.redis_server = '', adopted.redis_server, signs.redis_server) AS redis_server,
    signs.seen_at AS seen_at,
    signs.released AS released,
    toInt64(toUnixTimestamp64Micro(now64(6)) - toUnixTimestamp64Micro(signs.seen_at)) AS age_us
FROM ohlcv_deployment_redis AS adopted
LEFT JOIN
(
    SELECT
        redis_id,
        max(seen_at) AS last_seen_at,
        argMax(ohlcv_deployment_signs.redis_server, ohlcv_deployment_signs.seen_at) AS redis_server,
        argMax(ohlcv_deployment_signs.released, ohlcv_deployment_signs.seen_at) AS released,
        last_seen_at AS seen_at
    FROM ohlcv_deployment_signs
    WHERE deployment_id = {deployment:UUID}
    GROUP BY redis_id
) AS signs ON signs.redis_id = adopted.redis_id
WHERE adopted.deployment_id = {deployment:UUID}
ORDER BY adopted.adoption DESC, adopted.recorded_at, adopted.redis_id
SETTINGS join_use_nulls = 0
