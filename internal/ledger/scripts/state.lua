-- state reads a run's meta with the age of its heartbeat by the clock that wrote it.
--
-- KEYS[1]  meta
--
-- Returns {"ok", run, phase, cancelled, epoch, heartbeat age in ms, history_behind, result or ""} or {"unknown"}.
local meta = redis.call('HMGET', KEYS[1], 'run', 'phase', 'cancelled', 'epoch', 'heartbeat_ms', 'history_behind',
  'result')
if not meta[1] then
  return {'unknown'}
end
local now = redis.call('TIME')
local now_ms = tonumber(now[1]) * 1000 + math.floor(tonumber(now[2]) / 1000)
return {'ok', meta[1], meta[2], meta[3], tonumber(meta[4]), now_ms - tonumber(meta[5]), meta[6], meta[7] or ''}
