-- abandon ends an attempt whose plan was never whole: no task of it was enqueued, so there is nothing to add up.
--
-- KEYS[1]  meta
-- KEYS[2]  a<N>:pending
-- KEYS[3]  a<N>:outcome
-- ARGV[1]  the epoch of the caller
-- ARGV[2]  attempt
-- ARGV[3]  the result, JSON
--
-- Returns {"ok", owner}, whose claim on the input is to be released; {"unknown"}, {"stale"}, {"finished"}, or {"whole"}
-- when the plan is whole by now: the process that was thought dead may have enqueued tasks.
local meta = redis.call('HMGET', KEYS[1], 'epoch', 'attempt', 'phase', 'expected', 'opener')
local epoch, attempt, phase, expected, owner = unpack(meta)
if not epoch then
  return {'unknown'}
end
if phase == 'finished' and attempt == ARGV[2] then
  return {'finished'}
end
if epoch ~= ARGV[1] or attempt ~= ARGV[2] then
  return {'stale'}
end
if phase ~= 'planning' or redis.call('SCARD', KEYS[2]) + redis.call('HLEN', KEYS[3]) == tonumber(expected) then
  return {'whole'}
end
redis.call('UNLINK', KEYS[2]) -- nobody will fill these
redis.call('HSET', KEYS[1], 'phase', 'finished', 'result', ARGV[3])
return {'ok', owner}
