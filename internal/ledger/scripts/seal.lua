-- seal ends phase planning: from here on an attempt without pending chunks can be finished.
--
-- KEYS[1]  meta
-- KEYS[2]  a<N>:pending
-- KEYS[3]  a<N>:outcome
-- ARGV[1]  the epoch of the caller
--
-- Returns {"ok", finish} with finish 1 when nothing is pending; {"unknown"}, {"stale"}, or {"not_whole", have, want}:
-- sealing part of a plan would let the run complete without the rest.
local meta = redis.call('HMGET', KEYS[1], 'epoch', 'phase', 'expected')
local epoch, phase, expected = unpack(meta)
if not epoch then
  return {'unknown'}
end
if epoch ~= ARGV[1] then
  return {'stale'}
end
if phase == 'finishing' or phase == 'finished' then
  return {'ok', 0}
end
local pending = redis.call('SCARD', KEYS[2])
if phase == 'planning' then
  local have = pending + redis.call('HLEN', KEYS[3])
  if have ~= tonumber(expected) then
    return {'not_whole', have, tonumber(expected)}
  end
  redis.call('HSET', KEYS[1], 'phase', 'running')
end
if pending == 0 then
  return {'ok', 1}
end
return {'ok', 0}
