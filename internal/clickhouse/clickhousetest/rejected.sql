-- One rejected candle in every tenth chunk.
INSERT INTO ohlcv_rejected_candles
    (ingestion_run_id, run_started_at, rule, chain, token_address, interval_seconds, timestamp, open, high, low, close, volume, volume_usd,
     source, chunk_id)
SELECT
    toUUID(concat('0192f0c1-0000-7000-8000-', leftPad(lower(hex(number % {runs})), 12, '0'))),
    fromUnixTimestamp64Milli(toInt64({start}000 + number % {runs} * intDiv(60 * 86400000, {runs}))),
    'INVALID_RANGE',
    'solana',
    base58Encode(concat(unhex('80'), unhex(leftPad(hex(number % {tokens}), 8, '0')), substring(SHA256(toString(number % {tokens})), 1, 27))),
    60,
    toDateTime({start} + intDiv(number, {tokens}) * 6 * 86400 + 300, 'UTC'),
    1, 1, 2, 1, 1, 1,
    if(number % {runs} % 5 = 0, 'geckoterminal', 'birdeye'),
    substring(lower(hex(SHA1(toString(number)))), 1, 24)
FROM numbers({chunks})
WHERE number % 10 = 2;
