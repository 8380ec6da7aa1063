-- Two rows per run: its start and its end, with a manifest of the usual size.
INSERT INTO ohlcv_run_lifecycle
    (run_id, attempt, phase, recorded_at, started_at, completed_at, status, script_version, git_commit_hash, git_branch, cli_args, env_info,
     input_hash, source_tier, candles_fetched, candles_inserted, candles_rejected, candles_deduplicated, tokens_processed, errors_count,
     error_message, zero_volume_count, dedup_mode, planned_chunks, api_calls, credits, source, interval_seconds, range_from, range_to,
     validation, started_by)
SELECT
    toUUID(concat('0192f0c1-0000-7000-8000-', leftPad(lower(hex(intDiv(number, 2))), 12, '0'))) AS id,
    1,
    if(number % 2 = 0, 'running', 'ended') AS phase_name,
    fromUnixTimestamp64Milli(toInt64({start}000 + intDiv(number, 2) * intDiv(60 * 86400000, {runs}) + number % 2 * 60000)) AS recorded,
    fromUnixTimestamp64Milli(toInt64({start}000 + intDiv(number, 2) * intDiv(60 * 86400000, {runs}))),
    if(number % 2 = 0, NULL, recorded),
    multiIf(number % 2 = 0, 'running', intDiv(number, 2) % 50 = 7, 'failed', intDiv(number, 2) % 100 = 3, 'cancelled', 'completed') AS state,
    '1.2.3',
    lower(hex(SHA1(toString(intDiv(number, 20))))),
    'main',
    concat('{"from":"-30d","to":"now","tokens":"tokens-', toString(intDiv(number, 2)), '.txt","interval":"1m","source":"birdeye","validation":"lenient"}'),
    '{"BIRDEYE_API_KEY":"***","BIRDEYE_RPS":"50","CLICKHOUSE_HOST":"ch-1.internal","CLICKHOUSE_PORT":"9000","REDIS_URL":"redis://***@redis-1.internal:6379/0"}',
    lower(hex(SHA256(toString(intDiv(number, 2))))),
    2,
    if(state = 'running', 0, 2000),
    if(state = 'running', 0, 1900 - intDiv(number, 2) % 7 * 10),
    if(state = 'running', 0, 20),
    if(state = 'running', 0, 80 + intDiv(number, 2) % 7 * 10),
    if(state = 'running', 0, 10),
    if(state = 'failed', 30, 0),
    if(state = 'failed', 'birdeye: HTTP 503: service unavailable', ''),
    if(state = 'running', 0, 100 + intDiv(number, 2) % 13 * 30),
    'inline',
    intDiv({chunks}, {runs}),
    100,
    4000,
    if(intDiv(number, 2) % 5 = 0, 'geckoterminal', 'birdeye'),
    60,
    toDateTime({start}, 'UTC'),
    toDateTime({start} + 60 * 86400, 'UTC'),
    'lenient',
    'ana@desk'
FROM numbers(2 * {runs})
-- The last run is still at it.
WHERE number != 2 * {runs} - 1;
INSERT INTO ohlcv_run_visibility (run_id, sequence, event, requested_by)
SELECT toUUID(concat('0192f0c1-0000-7000-8000-', leftPad(lower(hex(number)), 12, '0'))), 1, 'rolled_back', 'ana@desk'
FROM numbers({runs})
WHERE number % 100 = 11;
