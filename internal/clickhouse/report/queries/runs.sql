-- Empty parameters mean no condition: one statement for every combination of flags.
SELECT $columns
FROM ohlcv_ingestion_runs
WHERE ({status:String} = '' OR status = {status:String})
  AND ({input_hash:String} = '' OR input_hash = {input_hash:String})
  AND ({source:String} = '' OR source = {source:String} OR has(fallbacks, {source:String}))
  AND ({user:String} = '' OR started_by = {user:String} OR startsWith(started_by, concat({user:String}, '@')))
  AND arrayAll((name, value) -> mapContains(labels, name) AND labels[name] = value, {label_names:Array(String)}, {label_values:Array(String)})
  AND ({address:String} = '' OR run_id IN (
      SELECT run_id FROM ohlcv_ingestion_tasks WHERE token_address = {address:String} AND ({chain:String} = '' OR chain = {chain:String})))
  AND started_at >= fromUnixTimestamp64Milli({since:Int64}, 'UTC')
ORDER BY started_at DESC, run_id DESC
LIMIT {limit:UInt64}
