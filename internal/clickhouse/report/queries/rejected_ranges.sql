-- Where runs that are not rolled back rejected corrupt candles, as known at as_of. What only strict validation rejects is the source's last word and no range to ask
-- for again. An empty list of sources or tokens means all. More than 50 of a chunk become one stretch, so that a broken source does not make a million of them.
SELECT
    chain,
    token_address,
    ingestion_run_id AS run_id,
    toUInt32(stretch.1) AS first,
    toUInt32(stretch.2) AS last
FROM
(
    SELECT
        chain,
        token_address,
        ingestion_run_id,
        arraySort(groupArray(toUInt32(timestamp) - toUInt32(timestamp) % {interval:UInt32})) AS opens
    FROM ohlcv_rejected_candles FINAL
    WHERE interval_seconds = {interval:UInt32} AND (empty({sources:Array(String)}) OR source IN {sources:Array(String)})
      AND rejected_at <= {as_of:DateTime64(6, 'UTC')}
      AND ingestion_run_id NOT IN
      (
          SELECT run_id
          FROM ohlcv_run_visibility
          WHERE recorded_at <= {as_of:DateTime64(6, 'UTC')}
          GROUP BY run_id
          HAVING argMax(event, (sequence, event)) != 'restored'
      )
      AND rule NOT IN ('ZERO_VOLUME', 'ZERO_PRICE')
      AND (empty({tokens:Array(String)}) OR token_address IN {tokens:Array(String)})
    GROUP BY chain, token_address, ingestion_run_id, chunk_id
)
ARRAY JOIN if(length(opens) > 50, [(opens[1], opens[-1])], arrayMap(t -> (t, t), opens)) AS stretch
