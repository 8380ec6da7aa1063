-- When each migration was applied, for the last time: two programs that migrate at once leave a row each.
SELECT version_id, max(tstamp) FROM ohlcv_schema_versions GROUP BY version_id
