-- renew keeps the leases of executions that are still running.
--
-- KEYS[1]  meta
-- KEYS[2]  a<N>:pending
-- KEYS[3]  a<N>:tries
-- KEYS[4]  a<N>:lease
-- ARGV[1]  attempt of the tasks
-- ARGV[2]  the epoch that they were admitted under
-- ARGV[3]  for how many µs the chunks are leased
-- ARGV[4…] chunk id and number of the execution, in turn
--
-- Returns {"ok", 1 or 0 for each}: 0 means that the execution is no longer wanted: the run is gone, cancelled, rebuilt or
-- over, the chunk has its outcome, or another execution has taken it. A lease that ran out without anybody taking the
-- chunk is renewed: Redis may have been away for longer than a lease lasts.
local answer = {'ok'}
local meta = redis.call('HMGET', KEYS[1], 'attempt', 'phase', 'cancelled', 'born')
local attempt, phase, cancelled, created_epoch = unpack(meta)
local going_on = attempt == ARGV[1] and (phase == 'planning' or phase == 'running') and cancelled ~= '1'
  and tonumber(ARGV[2]) >= tonumber(created_epoch)
local now = redis.call('TIME')
local leased_until = string.format('%.0f', tonumber(now[1]) * 1000000 + tonumber(now[2]) + tonumber(ARGV[3]))
for i = 4, #ARGV, 2 do
  local kept = going_on and redis.call('SISMEMBER', KEYS[2], ARGV[i]) == 1
    and redis.call('HGET', KEYS[3], ARGV[i] .. '|run') == ARGV[i + 1]
  if kept then
    redis.call('ZADD', KEYS[4], leased_until, ARGV[i])
  end
  answer[#answer + 1] = kept and 1 or 0
end
return answer
