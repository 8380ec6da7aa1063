-- Empty parameters mean no condition: one statement for every combination of flags.
SELECT
    run_id, started_at, completed_at, status, script_version, git_commit_hash, git_branch, git_dirty, cli_args, env_info, input_hash,
    source_tier, candles_fetched, candles_inserted, candles_rejected, candles_deduplicated, tokens_processed, errors_count, error_message,
    zero_volume_count, dedup_mode, dedup_completed_at, attempt, planned_chunks, retried_chunks, cancelled_chunks, candles_dropped,
    api_calls, credits, source, interval, range_from, range_to, validation, started_by, halt_rejection_rate, fallbacks, max_credits, priority,
    outliers, no_published_files, services, deployment_id, candles_shadowed, candles_skipped, typed_hash, labels
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
