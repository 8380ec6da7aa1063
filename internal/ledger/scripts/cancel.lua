-- cancel asks workers to end the attempt's chunks without fetching them.
--
-- KEYS[1]  meta
--
-- Returns {"ok"}, {"unknown"}, or {"finished"} when there is nothing left to cancel.
local phase = redis.call('HGET', KEYS[1], 'phase')
if not phase then
  return {'unknown'}
end
if phase == 'finishing' or phase == 'finished' then
  return {'finished'}
end
redis.call('HSET', KEYS[1], 'cancelled', '1')
return {'ok'}
