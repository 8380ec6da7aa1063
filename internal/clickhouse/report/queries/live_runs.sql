-- The latest attempts of the runs that are going on and whose records would cover what is wanted: of the same interval,
-- validation and parameters, and asking none but these sources (see fetch_records.sql). Runs of another deployment, whose database this one
-- is a copy of, are not going on here.
SELECT run_id, attempt
FROM ohlcv_ingestion_runs
WHERE status = 'running'
  AND interval = {interval_name:String}
  AND validation = {validation:String}
  AND hasAll({sources:Array(String)}, arrayConcat([toString(source)], fallbacks))
  AND (outliers = 'filter') = {filtered:Bool}
  AND ({without_files:UInt8} = 0 OR no_published_files)
  AND
  (
      deployment_id = toUUID('00000000-0000-0000-0000-000000000000')
      OR deployment_id = (SELECT deployment_id FROM ohlcv_deployments ORDER BY generation DESC, recorded_at LIMIT 1)
  )
ORDER BY started_at, run_id
