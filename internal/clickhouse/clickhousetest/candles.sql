-- The busy tokens, minute by minute.
INSERT INTO ohlcv_candle_versions
    (chain, token_address, interval_seconds, timestamp, rank, ingestion_run_id, open, high, low, close, volume, volume_usd, quality_score,
     source, source_tier, script_version)
SELECT
    'solana',
    base58Encode(concat(unhex('80'), unhex(leftPad(hex(token), 8, '0')), substring(SHA256(toString(token)), 1, 27))),
    60,
    toDateTime({start} + 60 * minute, 'UTC'),
    bitShiftLeft(toUInt64(133), 48) + 100 - run % 100,
    toUUID(concat('0192f0c1-0000-7000-8000-', leftPad(lower(hex(run)), 12, '0'))),
    1 + 0.4 * sin(minute / 700) + 0.01 * sin(minute * 1.7) AS open_price,
    open_price * 1.004,
    open_price * 0.995,
    open_price * (1 + 0.003 * sin(minute * 0.9)),
    1e5 * abs(sin(minute / 90)) + 10 AS traded,
    traded * open_price,
    122,
    'birdeye',
    2,
    '1.2.3'
FROM
(
    SELECT intDiv(number, {busy_minutes}) AS token, number % {busy_minutes} AS minute, (token + intDiv(minute, intDiv({busy_minutes} + 9, 10)) * {tokens}) % {runs} AS run
    FROM numbers({busy_candles})
);
-- Second versions of a quarter of them, by other runs.
INSERT INTO ohlcv_candle_versions
    (chain, token_address, interval_seconds, timestamp, rank, ingestion_run_id, open, high, low, close, volume, volume_usd, quality_score,
     source, source_tier, script_version)
SELECT
    'solana',
    base58Encode(concat(unhex('80'), unhex(leftPad(hex(token), 8, '0')), substring(SHA256(toString(token)), 1, 27))),
    60,
    toDateTime({start} + 60 * minute, 'UTC'),
    bitShiftLeft(toUInt64(133), 48) + 1000,
    toUUID(concat('0192f0c1-0000-7000-8000-', leftPad(lower(hex((token + 17) % {runs})), 12, '0'))),
    1, 1, 1, 1, 10, 10, 122, 'geckoterminal', 2, '1.2.3'
FROM (SELECT intDiv(4 * number, {busy_minutes}) AS token, 4 * number % {busy_minutes} AS minute FROM numbers({second_versions}));
-- The quiet tokens.
INSERT INTO ohlcv_candle_versions
    (chain, token_address, interval_seconds, timestamp, rank, ingestion_run_id, open, high, low, close, volume, volume_usd, quality_score,
     source, source_tier, script_version)
SELECT
    'solana',
    base58Encode(concat(unhex('80'), unhex(leftPad(hex(token), 8, '0')), substring(SHA256(toString(token)), 1, 27))),
    60,
    toDateTime({start} + 60 * (intDiv(number, {tokens} - {busy}) * 397 % 86400), 'UTC'),
    bitShiftLeft(toUInt64(133), 48) + 100,
    toUUID(concat('0192f0c1-0000-7000-8000-', leftPad(lower(hex(token % {runs})), 12, '0'))),
    1, 1.1, 0.9, 1, 10, 10, 122, 'birdeye', 2, '1.2.3'
FROM (SELECT number, {busy} + number % ({tokens} - {busy}) AS token FROM numbers({quiet_candles}));
