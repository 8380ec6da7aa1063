-- park leaves an account alone until its quota renews.
--
-- KEYS[1]  the account's state (see take.lua)
-- ARGV[1]  for how many µs
--
-- Returns {µs since the epoch until when}.
local time = redis.call('TIME')
local parked = tonumber(time[1]) * 1000000 + tonumber(time[2]) + tonumber(ARGV[1])
redis.call('HSET', KEYS[1], 'parked', string.format('%.0f', parked))
redis.call('EXPIRE', KEYS[1], 7 * 24 * 3600)
return {parked}
