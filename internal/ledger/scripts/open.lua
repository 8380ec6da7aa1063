-- open creates a run in phase planning, moves a finished run on to its next attempt, or creates a lost run again.
--
-- KEYS[1]   meta
-- KEYS[2]   late, which a next attempt keeps
-- KEYS[3…]  every other key that the run may have, over all its attempts
-- ARGV[1]   a name for this call, unique: the client sends a command again when the answer is lost, and must then hear
--           that it succeeded, not that the run exists
-- ARGV[2]   the run, JSON
-- ARGV[3]   its attempt
-- ARGV[4]   how many chunks the attempt has
-- ARGV[5]   "1" when this creates a lost run again; a run that is there stays as it is then
-- ARGV[6]   the share of rejected candles above which the run halts; 0 = never
-- ARGV[7]   how many credits the attempt may use before it halts; 0 = any number
--
-- Returns {"ok", epoch}, {"finished"} when this attempt is over already, or {"exists", attempt, phase}.
--
-- The fields of meta keep the names that older programs write: owner is stored as "opener", created_epoch as "born".
--
-- An epoch is at least the time in microseconds, so that a run whose meta was lost gets one that it never had before.
local meta = redis.call('HMGET', KEYS[1], 'opener', 'born', 'epoch', 'attempt', 'phase')
local owner, created_epoch, epoch, attempt, phase = unpack(meta)
if owner and owner == ARGV[1] then
  return {'ok', tonumber(created_epoch)}
end
if attempt then
  if phase ~= 'finished' or ARGV[5] == '1' then
    return {'exists', tonumber(attempt), phase}
  end
  if tonumber(ARGV[3]) <= tonumber(attempt) then
    return {'finished'}
  end
  redis.call('PERSIST', KEYS[1]) -- an archived run was about to expire
  redis.call('PERSIST', KEYS[2])
else
  redis.call('UNLINK', KEYS[2])
end
for i = 3, #KEYS do
  redis.call('UNLINK', KEYS[i]) -- what counts of earlier attempts is restored from the history
end
local now = redis.call('TIME')
local now_us = tonumber(now[1]) * 1000000 + tonumber(now[2])
local new_epoch = math.max(tonumber(epoch or '0') + 1, now_us)
local stored_epoch = string.format('%.0f', new_epoch)
redis.call('HSET', KEYS[1], 'opener', ARGV[1], 'run', ARGV[2], 'attempt', ARGV[3], 'expected', ARGV[4],
  'phase', 'planning', 'cancelled', '0', 'history_behind', '0', 'rebuilt', ARGV[5],
  'epoch', stored_epoch, 'born', stored_epoch, 'heartbeat_us', string.format('%.0f', now_us), 'halt_rate', ARGV[6],
  'max_credits', ARGV[7])
redis.call('HDEL', KEYS[1], 'result', 'halted')
return {'ok', new_epoch}
