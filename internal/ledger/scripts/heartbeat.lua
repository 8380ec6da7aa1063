-- heartbeat shows that the planning process lives, by Redis' own clock: clocks of hosts differ by minutes.
--
-- KEYS[1]  meta
-- ARGV[1]  the epoch of the caller
--
-- Returns {"ok"}, {"unknown"} or {"stale"}.
local epoch = redis.call('HGET', KEYS[1], 'epoch')
if not epoch then
  return {'unknown'}
end
if epoch ~= ARGV[1] then
  return {'stale'}
end
local now = redis.call('TIME')
redis.call('HSET', KEYS[1], 'heartbeat_us', string.format('%.0f', tonumber(now[1]) * 1000000 + tonumber(now[2])))
return {'ok'}
