-- look reads an account without changing it.
--
-- KEYS[1]  the account's state (see take.lua)
-- KEYS[2]  the account's members
--
-- Returns {now, parked, paused, interval, configured, members}, times in µs since the epoch; 0 where nothing is known.
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])
local state = redis.call('HMGET', KEYS[1], 'parked', 'paused', 'interval', 'configured')
local members = redis.call('ZCOUNT', KEYS[2], now - 30 * 1000000, '+inf')
return {now, tonumber(state[1] or 0), tonumber(state[2] or 0), tonumber(state[3] or 0), tonumber(state[4] or 0), members}
