-- In which buckets candles have more than one version, and how many candles; hidden versions count, because they can be looked at,
-- too. Repeats of a version share its rank; two versions of one rank, of runs that started in the same millisecond, are missed for
-- the sake of reading two columns instead of three.
SELECT
    toUInt32(toUInt32(opened) - toUInt32(opened) % {bucket:UInt32}) AS bucket,
    toInt64(count()) AS candles
FROM
(
    SELECT timestamp AS opened
    FROM ohlcv_candle_versions
    WHERE chain = {chain:String} AND token_address = {token:String} AND interval_seconds = {interval:UInt32}
      AND timestamp >= toDateTime({from:UInt32}, 'UTC') AND timestamp < toDateTime({to:UInt32}, 'UTC')
    GROUP BY timestamp
    HAVING min(rank) != max(rank)
)
GROUP BY bucket
