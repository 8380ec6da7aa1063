-- What workers have done lately, by source. The table has no order by time: this reads one narrow column of it whole.
SELECT worker, source, count() AS chunks, sum(api_calls) AS api_calls, sum(candles_inserted) AS candles, max(ended_at) AS last_end
FROM ohlcv_ingestion_tasks
WHERE ended_at >= now64(3) - toIntervalSecond({seconds:UInt32}) AND worker != ''
GROUP BY worker, source
ORDER BY chunks DESC, worker, source
LIMIT 500
