-- The other ClickHouse servers that answered for the deployment within a week, the latest first: of a copied database, the
-- one that it was copied from.
SELECT
    clickhouse_server,
    max(seen_at) AS last_seen_at
FROM ohlcv_deployment_signs
WHERE deployment_id = {deployment:UUID} AND clickhouse_server != serverUUID() AND seen_at > now() - INTERVAL 7 DAY
GROUP BY clickhouse_server
ORDER BY last_seen_at DESC
