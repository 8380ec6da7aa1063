-- The server's clock: one of those that decide which candles are closed.
SELECT now64(6, 'UTC')
