-- take_over makes the caller the planning process: writes of the one before answer "stale" from now on.
--
-- KEYS[1]  meta
--
-- Returns {"ok", epoch}, {"unknown"}, or {"finished"} when nothing is left to plan.
--
-- The created epoch (field "born") stays: what workers fetch meanwhile is as good under the new process as under the old one.
local meta = redis.call('HMGET', KEYS[1], 'epoch', 'phase')
local epoch, phase = unpack(meta)
if not epoch then
  return {'unknown'}
end
if phase == 'finishing' or phase == 'finished' then
  return {'finished'}
end
local now = redis.call('TIME')
local now_us = tonumber(now[1]) * 1000000 + tonumber(now[2])
local new_epoch = math.max(tonumber(epoch) + 1, now_us)
redis.call('HSET', KEYS[1], 'epoch', string.format('%.0f', new_epoch), 'heartbeat_us', string.format('%.0f', now_us))
return {'ok', new_epoch}
