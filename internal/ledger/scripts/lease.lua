-- lease gives or renews a lease.
--
-- KEYS[1]  the lease
-- ARGV[1]  holder
-- ARGV[2]  milliseconds until it ends
--
-- Returns {"ok"} or {"taken"}.
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then
  return {'taken'}
end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return {'ok'}
