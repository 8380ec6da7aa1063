-- regenerate gives a pending chunk that nobody is filling a new task: the next generation.
--
-- KEYS[1]  meta
-- KEYS[2]  a<N>:pending
-- KEYS[3]  a<N>:tries
-- KEYS[4]  a<N>:lease
-- ARGV[1]  attempt
-- ARGV[2]  chunk id
-- ARGV[3]  the generation that is to be replaced
--
-- Returns {"ok", the new generation}, or {"past"} when the chunk has an outcome, a live lease or a newer task, or the
-- attempt is over: of two that replace the same task one is refused.
local meta = redis.call('HMGET', KEYS[1], 'attempt', 'phase')
local attempt, phase = unpack(meta)
if attempt ~= ARGV[1] or (phase ~= 'planning' and phase ~= 'running') then
  return {'past'}
end
if redis.call('SISMEMBER', KEYS[2], ARGV[2]) == 0 then
  redis.call('ZREM', KEYS[4], ARGV[2])
  return {'past'}
end
if (redis.call('HGET', KEYS[3], ARGV[2] .. '|gen') or '0') ~= ARGV[3] then
  return {'past'}
end
local now = redis.call('TIME')
local leased_until = redis.call('ZSCORE', KEYS[4], ARGV[2])
if leased_until and tonumber(leased_until) > tonumber(now[1]) * 1000000 + tonumber(now[2]) then
  return {'past'}
end
redis.call('ZREM', KEYS[4], ARGV[2])
return {'ok', redis.call('HINCRBY', KEYS[3], ARGV[2] .. '|gen', 1)}
