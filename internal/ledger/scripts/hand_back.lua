-- hand_back notes that an execution ended in order but without an outcome, and ends its lease.
--
-- KEYS[1]  meta
-- KEYS[2]  a<N>:pending
-- KEYS[3]  a<N>:tries
-- KEYS[4]  a<N>:lease
-- ARGV[1]  attempt of the task
-- ARGV[2]  chunk id
-- ARGV[3]  class of the error
-- ARGV[4]  number of the execution
-- ARGV[5]  API calls and
-- ARGV[6]  credits that it spent: they were paid for, and belong to the chunk's outcome whichever execution ends it
--
-- Returns {"ok", how often the chunk met the class} or {"unknown"}. For a chunk that is no longer pending in the current
-- attempt the count is 0 and nothing is written: keys of a run that is over must not come back.
local attempt = redis.call('HGET', KEYS[1], 'attempt')
if not attempt then
  return {'unknown'}
end
if attempt ~= ARGV[1] or redis.call('SISMEMBER', KEYS[2], ARGV[2]) == 0 then
  return {'ok', 0}
end
if redis.call('HGET', KEYS[3], ARGV[2] .. '|run') == ARGV[4] then -- else another execution has the lease
  redis.call('ZREM', KEYS[4], ARGV[2])
end
local open = tonumber(redis.call('HGET', KEYS[3], ARGV[2] .. '|open') or '0')
if open > 0 then -- a rebuilt ledger has not seen the execution begin
  redis.call('HINCRBY', KEYS[3], ARGV[2] .. '|open', -1)
end
for i, name in ipairs({'calls', 'credits'}) do
  if ARGV[4 + i] ~= '0' then
    redis.call('HINCRBY', KEYS[3], ARGV[2] .. '|' .. name, ARGV[4 + i])
  end
end
return {'ok', redis.call('HINCRBY', KEYS[3], ARGV[2] .. '|' .. ARGV[3], 1)}
