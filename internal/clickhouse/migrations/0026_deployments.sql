-- +goose NO TRANSACTION
-- +goose Up

-- The id of the deployment: one ClickHouse database and one Redis that belong together. A copy of the database carries it
-- along; migrate --new-deployment gives the copy its own, as a row of the next generation, and the highest generation
-- counts (of two rows of one generation the earlier).
CREATE TABLE IF NOT EXISTS ohlcv_deployments
(
    generation    UInt32,
    deployment_id UUID,
    recorded_at   DateTime64(6, 'UTC') DEFAULT now64(6),
    recorded_by   String COMMENT 'user@host; empty = this migration'
)
ENGINE = MergeTree
ORDER BY (generation, recorded_at);

-- The first id is that of the table itself, which the server makes once: two programs that migrate at once write the same.
INSERT INTO ohlcv_deployments (generation, deployment_id)
SELECT 1, if(uuid = toUUID('00000000-0000-0000-0000-000000000000'), generateUUIDv4(), uuid)
FROM system.tables
WHERE database = currentDatabase() AND name = 'ohlcv_deployments';

-- Which Redis belongs to the deployment: the one that was adopted last. A Redis has a random id, which it keeps itself; one
-- that is emptied keeps its id, one that is replaced is adopted under a new one. Nothing is ever taken off, so that a Redis
-- which was left, and comes back with the state of that time, is known.
CREATE TABLE IF NOT EXISTS ohlcv_deployment_redis
(
    deployment_id UUID,
    adoption      UInt32 COMMENT 'the highest counts; of two with the same number the earlier',
    redis_id      UUID,
    redis_server  String COMMENT 'run_id of the server process and number of the database; empty = Redis does not tell',
    redis_address String COMMENT 'for people: as the process that adopted it reached it',
    recorded_at   DateTime64(6, 'UTC') DEFAULT now64(6)
)
ENGINE = MergeTree
ORDER BY (deployment_id, adoption, recorded_at);

-- The last sign of life of the processes that use a Redis together with this database: one of them writes it every ten
-- seconds, so that an empty Redis can be told from a second one while the first is in use. The time is the server's.
-- clickhouse_server is part of the key because one id that two servers answer for is a copy.
CREATE TABLE IF NOT EXISTS ohlcv_deployment_signs
(
    deployment_id     UUID,
    redis_id          UUID,
    clickhouse_server UUID COMMENT 'serverUUID()',
    redis_server      String COMMENT 'as in ohlcv_deployment_redis',
    released          Bool COMMENT 'the last process took its leave: nobody uses this Redis now',
    seen_at           DateTime64(6, 'UTC')
)
ENGINE = ReplacingMergeTree(seen_at)
ORDER BY (deployment_id, redis_id, clickhouse_server);
