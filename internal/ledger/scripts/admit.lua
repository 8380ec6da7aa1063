-- admit decides for a worker that takes up a chunk, counts the execution and leases the chunk to it.
--
-- KEYS[1]  meta
-- KEYS[2]  a<N>:pending
-- KEYS[3]  a<N>:outcome
-- KEYS[4]  a<N>:tries
-- KEYS[5]  a<N>:lease      chunk id → when its lease ends, in µs of Redis' clock: clocks of hosts differ by minutes
-- ARGV[1]  attempt of the task
-- ARGV[2]  chunk id
-- ARGV[3]  "1" when the worker does not know the run yet and wants its JSON
-- ARGV[4]  for how many µs the chunk is leased
-- ARGV[5…] the classes of errors that mean that the source gave no answer, as hand_back counts them
--
-- Returns {"missing"}, {"done"}, {"held"} while another execution has the lease, or {"cancelled" or "proceed", epoch,
-- executions, crashes, rebuilt, run, unanswered, calls, credits}; run is "" unless it was wanted.
--
-- tries "<chunk>|run" counts executions; the last one's number is what it shows to keep its lease. "<chunk>|open" counts
-- those that neither recorded nor handed back: what is left of them when the next one starts are crashes.
local meta = redis.call('HMGET', KEYS[1], 'attempt', 'phase', 'cancelled', 'epoch', 'rebuilt')
local attempt, phase, cancelled, epoch, rebuilt = unpack(meta)
if not attempt then
  return {'missing'}
end
if attempt ~= ARGV[1] or phase == 'finishing' or phase == 'finished' then
  return {'done'}
end
if redis.call('SISMEMBER', KEYS[2], ARGV[2]) == 0 then
  -- While a lost run is planned again, its tasks may be there before its plan is.
  if phase == 'planning' and redis.call('HEXISTS', KEYS[3], ARGV[2]) == 0 then
    return {'missing'}
  end
  return {'done'}
end
local run = ''
if ARGV[3] == '1' then
  run = redis.call('HGET', KEYS[1], 'run')
end
local spent = redis.call('HMGET', KEYS[4], ARGV[2] .. '|calls', ARGV[2] .. '|credits')
local calls, credits = tonumber(spent[1] or '0'), tonumber(spent[2] or '0')
if cancelled == '1' then
  local executions = tonumber(redis.call('HGET', KEYS[4], ARGV[2] .. '|run') or '0')
  return {'cancelled', tonumber(epoch), executions, 0, rebuilt, run, 0, calls, credits}
end
local now = redis.call('TIME')
local now_us = tonumber(now[1]) * 1000000 + tonumber(now[2])
local leased_until = redis.call('ZSCORE', KEYS[5], ARGV[2])
if leased_until and tonumber(leased_until) > now_us then
  return {'held'}
end
redis.call('ZADD', KEYS[5], string.format('%.0f', now_us + tonumber(ARGV[4])), ARGV[2])
local executions = redis.call('HINCRBY', KEYS[4], ARGV[2] .. '|run', 1)
local open = redis.call('HINCRBY', KEYS[4], ARGV[2] .. '|open', 1)
local unanswered = 0
for i = 5, #ARGV do
  unanswered = unanswered + tonumber(redis.call('HGET', KEYS[4], ARGV[2] .. '|' .. ARGV[i]) or '0')
end
return {'proceed', tonumber(epoch), executions, open - 1, rebuilt, run, unanswered, calls, credits}
