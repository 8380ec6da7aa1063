-- wanted reports to an execution, just before it writes, whether anybody still wants its candles.
--
-- KEYS[1]  meta
-- KEYS[2]  a<N>:pending
-- KEYS[3]  a<N>:outcome
-- KEYS[4]  a<N>:tries
-- ARGV[1]  attempt of the task
-- ARGV[2]  the epoch that the execution was admitted under
-- ARGV[3]  chunk id
-- ARGV[4]  number of the execution
--
-- Returns {"ok", 1 or 0}, {"unknown"} or {"stale"}. A chunk that was given up as failed still wants a success; one that
-- another execution has taken or filled does not.
local meta = redis.call('HMGET', KEYS[1], 'attempt', 'phase', 'cancelled', 'born')
local attempt, phase, cancelled, created_epoch = unpack(meta)
if not attempt then
  return {'unknown'}
end
if attempt ~= ARGV[1] or phase == 'finishing' or phase == 'finished' then
  return {'ok', 0}
end
if tonumber(ARGV[2]) < tonumber(created_epoch) then
  return {'stale'}
end
if cancelled == '1' then
  return {'ok', 0}
end
local last = redis.call('HGET', KEYS[4], ARGV[3] .. '|run')
if redis.call('SISMEMBER', KEYS[2], ARGV[3]) == 1 then
  return {'ok', last == ARGV[4] and 1 or 0}
end
local outcome = redis.call('HGET', KEYS[3], ARGV[3])
return {'ok', outcome and string.sub(outcome, 1, 1) == '1' and 1 or 0}
