-- record puts a chunk's outcome by compare-and-set: none < failed or cancelled < success, until the attempt is frozen (R2).
--
-- KEYS[1]  meta
-- KEYS[2]  a<N>:pending
-- KEYS[3]  a<N>:outcome    chunk id → digit of the rank, then JSON: ranks compare without decoding
-- KEYS[4]  a<N>:tries
-- KEYS[5]  a<N>:progress
-- KEYS[6]  late            chunk id → JSON
-- KEYS[7]  a<N>:lease
-- ARGV[1]  attempt of the task
-- ARGV[2]  the epoch that the worker was admitted under
-- ARGV[3]  chunk id
-- ARGV[4]  rank of the outcome: 1 or 2
-- ARGV[5]  the outcome, JSON
-- ARGV[6]  its name in progress: succeeded, failed or cancelled
-- ARGV[7]  candles fetched
-- ARGV[8]  candles inserted
-- ARGV[9]  candles rejected
-- ARGV[10] from how many fetched candles on the share of rejected ones counts
-- ARGV[11] credits used
--
-- Returns {"kept", finish, halted}, {"present", finish, 0}, {"finished"} when the attempt is over, {"unknown"}, {"stale"} or
-- {"not_in_plan", chunk}. finish is 1 when the attempt is sealed and nothing is pending; it is returned again to whoever calls
-- again, because the first may have died after it. halted is 1 for the one whose outcome raised the share of rejected candles,
-- or the credits, above the run's limit: from then on the run is cancelled.
local meta = redis.call('HMGET', KEYS[1], 'attempt', 'phase', 'born', 'halt_rate', 'halted', 'max_credits')
local attempt, phase, created_epoch, halt_rate, halted, max_credits = unpack(meta)
if not attempt then
  return {'unknown'}
end
local before = redis.call('HGET', KEYS[3], ARGV[3])
local rank_before = 0
if before then
  rank_before = tonumber(string.sub(before, 1, 1))
end
local rank = tonumber(ARGV[4])

if attempt ~= ARGV[1] or phase == 'finishing' or phase == 'finished' then
  if rank == 2 and rank_before < 2 then
    redis.call('HSET', KEYS[6], ARGV[3], ARGV[5])
    local ttl = redis.call('PTTL', KEYS[1])
    if ttl > 0 then -- archived: what comes now expires with the rest
      redis.call('PEXPIRE', KEYS[6], ttl)
    end
  end
  return {'finished'}
end
if tonumber(ARGV[2]) < tonumber(created_epoch) then
  return {'stale'}
end
-- A chunk is in one of pending and outcome: without an outcome, taking it off the pending ones also shows whether it is of
-- this attempt.
if not before and redis.call('SREM', KEYS[2], ARGV[3]) == 0 then
  return {'not_in_plan', ARGV[3]}
end

local verdict, halts = 'present', nil
if rank > rank_before then
  verdict = 'kept'
  redis.call('HSET', KEYS[3], ARGV[3], ARGV[4] .. ARGV[5])
  redis.call('ZREM', KEYS[7], ARGV[3])
  redis.call('HDEL', KEYS[4], ARGV[3] .. '|run', ARGV[3] .. '|open', ARGV[3] .. '|gen') -- nobody asks for them any more
  if before then -- rare: a failed chunk succeeds after all; its old counts leave the progress
    local old = cjson.decode(string.sub(before, 2))
    redis.call('HINCRBY', KEYS[5], old.status == 'cancelled' and 'cancelled' or 'failed', -1)
    -- "0 - x", because "-x" of zero is written "-0", which HINCRBY does not take.
    redis.call('HINCRBY', KEYS[5], 'fetched', string.format('%.0f', 0 - old.stats.fetched))
    redis.call('HINCRBY', KEYS[5], 'inserted', string.format('%.0f', 0 - old.stats.inserted))
    redis.call('HINCRBY', KEYS[5], 'rejected', string.format('%.0f', 0 - old.stats.rejected))
  end
  redis.call('HINCRBY', KEYS[5], ARGV[6], 1)
  local fetched = redis.call('HINCRBY', KEYS[5], 'fetched', ARGV[7])
  redis.call('HINCRBY', KEYS[5], 'inserted', ARGV[8])
  local rejected = redis.call('HINCRBY', KEYS[5], 'rejected', ARGV[9])
  local limit = tonumber(halt_rate or '0')
  if limit > 0 and not halted and fetched >= tonumber(ARGV[10]) and rejected / fetched > limit then
    halts = string.format('%.0f of %.0f candles rejected, above the limit of %g%%', rejected, fetched, 100 * limit)
  end
  local cap = tonumber(max_credits or '0')
  if cap > 0 then
    local credits = redis.call('HINCRBY', KEYS[5], 'credits', ARGV[11])
    if not halted and credits > cap then
      halts = string.format('%.0f credits used, above the cap of %.0f', credits, cap)
    end
  end
  if halts then
    redis.call('HSET', KEYS[1], 'cancelled', '1', 'halted', halts)
  end
end
if phase == 'running' and redis.call('SCARD', KEYS[2]) == 0 then
  return {verdict, 1, halts and 1 or 0}
end
return {verdict, 0, halts and 1 or 0}
