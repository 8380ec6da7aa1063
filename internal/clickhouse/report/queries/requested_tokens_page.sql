-- A page of the tokens that were asked for at this interval in this range. An empty text means all. How many there are comes with
-- the answer's profile, which costs less than a window function over all of them.
SELECT chain, token_address
FROM ohlcv_ingestion_tasks
WHERE interval_seconds = {interval:UInt32}
  AND range_from < toDateTime({to:UInt32}, 'UTC') AND range_to > toDateTime({from:UInt32}, 'UTC')
  AND ({text:String} = '' OR positionCaseInsensitive(token_address, {text:String}) > 0)
GROUP BY chain, token_address
ORDER BY chain, token_address
LIMIT {limit:UInt32} OFFSET {offset:UInt64}
SETTINGS exact_rows_before_limit = 1
