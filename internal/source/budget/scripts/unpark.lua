-- unpark lets an account be asked again at once, whether it is parked or pausing.
--
-- KEYS[1]  the account's state (see take.lua)
--
-- Returns {1} where it was either, else {0}.
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])
local state = redis.call('HMGET', KEYS[1], 'parked', 'paused')
if tonumber(state[1] or 0) <= now and tonumber(state[2] or 0) <= now then
  return {0}
end
redis.call('HDEL', KEYS[1], 'parked', 'paused')
return {1}
