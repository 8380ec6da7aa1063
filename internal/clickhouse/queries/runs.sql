-- Empty parameters mean no condition: one statement for every combination of flags.
SELECT *
FROM ohlcv_ingestion_runs
WHERE ({status:String} = '' OR status = {status:String})
  AND ({input_hash:String} = '' OR input_hash = {input_hash:String})
  AND started_at >= fromUnixTimestamp64Milli({since:Int64}, 'UTC')
ORDER BY started_at DESC, run_id DESC
LIMIT {limit:UInt64}
