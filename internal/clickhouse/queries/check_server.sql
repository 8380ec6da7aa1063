-- The server's clock in microseconds: only the program knows its own.
SELECT version(), toUnixTimestamp64Micro(now64(6))
