-- take_over makes the caller the planning process: writes of the one before answer "stale" from now on.
--
-- KEYS[1]  meta
--
-- Returns {"ok", epoch}, {"unknown"}, or {"finished"} when nothing is left to plan.
--
-- "born" stays: what workers fetch meanwhile is as good under the new process as under the old one.
local meta = redis.call('HMGET', KEYS[1], 'epoch', 'phase')
local epoch, phase = unpack(meta)
if not epoch then
  return {'unknown'}
end
if phase == 'finishing' or phase == 'finished' then
  return {'finished'}
end
local now = redis.call('TIME')
local now_ms = tonumber(now[1]) * 1000 + math.floor(tonumber(now[2]) / 1000)
local new_epoch = math.max(tonumber(epoch) + 1, now_ms)
redis.call('HSET', KEYS[1], 'epoch', string.format('%.0f', new_epoch), 'heartbeat_ms', string.format('%.0f', now_ms))
return {'ok', new_epoch}
