-- state reads a run's meta with the age of its heartbeat by the clock that wrote it.
--
-- KEYS[1]  meta
--
-- Returns {"ok", run, phase, cancelled, epoch, heartbeat age in µs, history_behind, result or "",
-- halted or ""} or {"unknown"}.
local meta = redis.call('HMGET', KEYS[1], 'run', 'phase', 'cancelled', 'epoch', 'heartbeat_us', 'history_behind',
  'result', 'halted')
if not meta[1] then
  return {'unknown'}
end
local now = redis.call('TIME')
local age = tonumber(now[1]) * 1000000 + tonumber(now[2]) - tonumber(meta[5])
return {'ok', meta[1], meta[2], meta[3], tonumber(meta[4]), age, meta[6], meta[7] or '', meta[8] or ''}
