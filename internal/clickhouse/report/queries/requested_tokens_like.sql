-- The tokens whose name was begun, for a shell that completes it: few, and quick, so the rest is left out by the server.
SELECT DISTINCT chain, token_address
FROM ohlcv_ingestion_tasks
WHERE interval_seconds = {interval:UInt32}
  AND (startsWith(token_address, {begin:String}) OR startsWith(concat(chain, ':', token_address), {begin:String}))
ORDER BY chain, token_address
LIMIT {limit:UInt64}
