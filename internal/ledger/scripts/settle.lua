-- settle stores the result of a frozen attempt, once.
--
-- KEYS[1]  meta
-- ARGV[1]  attempt
-- ARGV[2]  the result, JSON
--
-- Returns {"ok", owner}, whose claim on the input is to be released; {"unknown"}, {"finished"} when this attempt has a
-- result already, or {"not_done"} when it is not frozen.
local meta = redis.call('HMGET', KEYS[1], 'attempt', 'phase', 'opener')
local attempt, phase, owner = unpack(meta)
if not attempt or tonumber(attempt) < tonumber(ARGV[1]) then
  return {'unknown'}
end
if attempt ~= ARGV[1] or phase == 'finished' then
  return {'finished'}
end
if phase ~= 'finishing' then
  return {'not_done'}
end
redis.call('HSET', KEYS[1], 'phase', 'finished', 'result', ARGV[2])
return {'ok', owner}
