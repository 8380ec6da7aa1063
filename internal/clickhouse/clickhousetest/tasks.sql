-- Chunk n belongs to run n % runs and token n % tokens. Addresses are mints of 44 characters in the order of their number.
INSERT INTO ohlcv_ingestion_tasks
    (run_id, attempt, chunk_id, chain, token_address, interval_seconds, range_from, range_to, status, candles_fetched, candles_inserted,
     candles_rejected, zero_volume_count, api_calls, credits, error_message, error_class, source, executions, worker, script_version,
     started_at, ended_at)
SELECT
    toUUID(concat('0192f0c1-0000-7000-8000-', leftPad(lower(hex(number % {runs})), 12, '0'))),
    1,
    substring(lower(hex(SHA1(toString(number)))), 1, 24),
    'solana',
    base58Encode(concat(unhex('80'), unhex(leftPad(hex(number % {tokens}), 8, '0')), substring(SHA256(toString(number % {tokens})), 1, 27))),
    60,
    toDateTime({start} + part * length, 'UTC'),
    toDateTime({start} + (part + 1) * length, 'UTC'),
    multiIf(number % 25 = 4, 'failed', number % 100 = 7, 'cancelled', 'success') AS state,
    if(state = 'success', 20, 0),
    if(state = 'success', 20, 0),
    0,
    2,
    1,
    40,
    if(state = 'failed', 'HTTP 503: service unavailable', ''),
    if(state = 'failed', 'unavailable', ''),
    if(number % {runs} % 5 = 0, 'geckoterminal', 'birdeye'),
    1,
    concat('worker-', toString(number % 8)),
    '1.2.3',
    toDateTime64({start} + part * length, 3, 'UTC'),
    toDateTime64({start} + part * length + 2, 3, 'UTC')
FROM
(
    SELECT number, intDiv(number, {tokens}) AS part, if(number % {tokens} < {busy}, 60 * intDiv({busy_minutes} + 9, 10), 6 * 86400) AS length
    FROM numbers({chunks})
);
