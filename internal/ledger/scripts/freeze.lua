-- freeze ends the time in which outcomes change, so that they can be added up.
--
-- KEYS[1]  meta
-- KEYS[2]  a<N>:pending
-- ARGV[1]  attempt
--
-- Returns {"ok"}, {"unknown"}, {"finished"} or {"not_done"}.
local meta = redis.call('HMGET', KEYS[1], 'attempt', 'phase')
local attempt, phase = unpack(meta)
if not attempt or tonumber(attempt) < tonumber(ARGV[1]) then
  return {'unknown'}
end
if attempt ~= ARGV[1] or phase == 'finished' then
  return {'finished'}
end
if phase == 'planning' or (phase == 'running' and redis.call('SCARD', KEYS[2]) > 0) then
  return {'not_done'}
end
redis.call('HSET', KEYS[1], 'phase', 'finishing')
return {'ok'}
