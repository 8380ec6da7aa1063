-- FINAL, because a repeated chunk leaves its rejections twice until they are merged.
SELECT rule, count() AS candles
FROM ohlcv_rejected_candles FINAL
WHERE ingestion_run_id = {run_id:UUID}
GROUP BY rule
ORDER BY candles DESC, rule
