-- store_plan adds chunks to the plan and marks those without an outcome in this attempt as pending.
--
-- KEYS[1]  meta
-- KEYS[2]  plan
-- KEYS[3]  a<N>:pending
-- KEYS[4]  a<N>:outcome
-- ARGV[1]  the epoch of the caller
-- ARGV[2…] chunk id and plan JSON, in turn; at most a thousand pairs (Lua's stack)
--
-- Returns {"ok"}, {"unknown"}, {"stale"}, or {"not_in_plan", chunk} when the attempt is sealed and lacks the chunk.
--
-- A chunk of the attempt is always in exactly one of pending and outcome: "all done" is computed from these sets (R4).
local meta = redis.call('HMGET', KEYS[1], 'epoch', 'phase')
local epoch, phase = unpack(meta)
if not epoch then
  return {'unknown'}
end
if epoch ~= ARGV[1] then
  return {'stale'}
end
local none_done = redis.call('HLEN', KEYS[4]) == 0
local undone = {}
for i = 2, #ARGV, 2 do
  if none_done or redis.call('HEXISTS', KEYS[4], ARGV[i]) == 0 then
    undone[#undone + 1] = ARGV[i]
  end
end
if phase ~= 'planning' then
  for _, chunk in ipairs(undone) do
    if redis.call('SISMEMBER', KEYS[3], chunk) == 0 then
      return {'not_in_plan', chunk}
    end
  end
  return {'ok'}
end
redis.call('HSET', KEYS[2], unpack(ARGV, 2))
if #undone > 0 then
  redis.call('SADD', KEYS[3], unpack(undone))
end
return {'ok'}
