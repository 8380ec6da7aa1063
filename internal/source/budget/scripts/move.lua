-- move takes note that a request goes now instead of at its moment, which has passed: the process woke up late. What is
-- reserved afterwards keeps its distance from when it really goes, so that a moment is neither lost nor used too early.
--
-- KEYS[1]  the account's state (see take.lua)
-- KEYS[2]  the account's moments (see take.lua)
-- ARGV[1]  which moment
-- ARGV[2]  by how many µs it may be missed: far behind, moments that others have reserved would come too close
--
-- Returns {status, µs}: "go"; "later": the moment is lost, reserve another one in so many µs; "parked" for so many µs.
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])
local state = redis.call('HMGET', KEYS[1], 'paused', 'parked')
local paused, parked = tonumber(state[1] or 0), tonumber(state[2] or 0)
local moment = tonumber(redis.call('ZSCORE', KEYS[2], ARGV[1]) or 0)
if parked > now or paused > now or now - moment > tonumber(ARGV[2]) then
  redis.call('ZREM', KEYS[2], ARGV[1])
  if parked > now then
    return {'parked', parked - now}
  end
  return {'later', math.max(paused - now, 0)}
end
redis.call('ZADD', KEYS[2], string.format('%.0f', math.max(now, moment)), ARGV[1])
return {'go', 0}
