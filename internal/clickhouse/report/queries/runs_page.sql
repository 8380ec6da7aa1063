-- A page of runs, the newest first, after the last one of the page before: what comes in meanwhile moves nothing. Only
-- narrow columns: the view then reads neither arguments nor environment, which are nine tenths of the log's bytes.
-- A search is the beginning of an id, of an input hash or of a commit, or a part of who started the run.
SELECT $columns
FROM ohlcv_ingestion_runs
WHERE ({status:String} = '' OR status = {status:String})
  AND ({source:String} = '' OR source = {source:String})
  AND started_at >= fromUnixTimestamp64Milli({since:Int64}, 'UTC')
  AND started_at < fromUnixTimestamp64Milli({until:Int64}, 'UTC')
  AND ({search:String} = '' OR startsWith(toString(run_id), lower({search:String})) OR startsWith(input_hash, lower({search:String}))
       OR startsWith(git_commit_hash, lower({search:String})) OR positionCaseInsensitiveUTF8(started_by, {search:String}) > 0)
  AND ({token:String} = '' OR run_id IN (SELECT run_id FROM ohlcv_ingestion_tasks WHERE token_address = {token:String}))
  AND ((started_at, run_id) < (fromUnixTimestamp64Milli({before:Int64}, 'UTC'), {before_run:UUID}))
ORDER BY started_at DESC, run_id DESC
LIMIT {limit:UInt64}
