-- +goose NO TRANSACTION
-- +goose Up

-- Part of the run's manifest: what decides the values that a source gives, where it was asked, and whose run it is. Runs of
-- before have none of them recorded; an older program beside a newer one writes the defaults.
ALTER TABLE ohlcv_run_lifecycle
    ADD COLUMN IF NOT EXISTS outliers LowCardinality(String) COMMENT 'keep or filter; empty = the default of the source on that day',
    ADD COLUMN IF NOT EXISTS no_published_files Bool DEFAULT false COMMENT 'files that a source publishes beside its API were left out',
    ADD COLUMN IF NOT EXISTS services Map(LowCardinality(String), String) COMMENT 'source to the host that it was asked at; empty = not recorded',
    ADD COLUMN IF NOT EXISTS deployment_id UUID COMMENT 'zero = not recorded';

-- The view as in 0017, with the new columns at its end.
CREATE OR REPLACE VIEW ohlcv_ingestion_runs AS
SELECT
    run_id,
    started_at,
    completed_at,
    if(run_id IN (SELECT run_id FROM ohlcv_rolled_back_runs), 'rolled_back', toString(lifecycle.status)) AS status,
    script_version,
    git_commit_hash,
    git_branch,
    git_dirty,
    cli_args,
    env_info,
    input_hash,
    source_tier,
    candles_fetched,
    candles_inserted,
    candles_rejected,
    candles_deduplicated,
    tokens_processed,
    errors_count,
    error_message,
    zero_volume_count,
    dedup_mode,
    dedup_completed_at,
    attempt,
    planned_chunks,
    retried_chunks,
    cancelled_chunks,
    candles_dropped,
    api_calls,
    credits,
    source,
    transform(interval_seconds, [1, 15, 60, 300, 900, 3600, 14400, 86400],
        ['1s', '15s', '1m', '5m', '15m', '1h', '4h', '1d'], toString(interval_seconds)) AS interval,
    range_from,
    range_to,
    validation,
    started_by,
    halt_rejection_rate,
    fallbacks,
    max_credits,
    priority,
    outliers,
    no_published_files,
    services,
    deployment_id
FROM ohlcv_run_lifecycle AS lifecycle
ORDER BY run_id, attempt DESC, phase DESC, recorded_at
LIMIT 1 BY run_id;
