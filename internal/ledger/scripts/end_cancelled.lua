-- end_cancelled puts cancelled as the outcome of chunks that have none, many at a time: what record does for one of them.
--
-- KEYS[1]  meta
-- KEYS[2]  a<N>:pending
-- KEYS[3]  a<N>:outcome    chunk id → digit of the rank, then JSON
-- KEYS[4]  a<N>:tries
-- KEYS[5]  a<N>:progress
-- KEYS[6]  a<N>:lease
-- ARGV[1]  attempt
-- ARGV[2]  the epoch of the caller
-- ARGV[3…] chunk id and the outcome, JSON, in turn: at most 1,000 chunks (the script's stack), at least one
--
-- Returns {"ok", how many were put, finish}, {"finished"} when the attempt is past, {"unknown"} or {"stale"}; finish is 1 when
-- the attempt is sealed and nothing is pending. A chunk that has an outcome keeps it, and one that the attempt does not have
-- is left out: whoever scanned the pending ones may have seen it before it moved.
local meta = redis.call('HMGET', KEYS[1], 'attempt', 'phase', 'born')
local attempt, phase, created_epoch = unpack(meta)
if not attempt then
  return {'unknown'}
end
if attempt ~= ARGV[1] or phase == 'finishing' or phase == 'finished' then
  return {'finished'}
end
if tonumber(ARGV[2]) < tonumber(created_epoch) then
  return {'stale'}
end
local chunks = {}
for i = 3, #ARGV, 2 do
  chunks[#chunks + 1] = ARGV[i]
end
-- A chunk is in one of pending and outcome. A few calls for all of them: one call for each takes four times as long.
local outcomes, pending, tries = {}, {}, {}
for i, is in ipairs(redis.call('SMISMEMBER', KEYS[2], unpack(chunks))) do
  if is == 1 then
    local chunk = chunks[i]
    pending[#pending + 1] = chunk
    outcomes[#outcomes + 1] = chunk
    outcomes[#outcomes + 1] = '1' .. ARGV[2 + 2 * i]
    tries[#tries + 1] = chunk .. '|run'
    tries[#tries + 1] = chunk .. '|open'
    tries[#tries + 1] = chunk .. '|gen'
  end
end
local ended = 0
if #pending > 0 then
  ended = redis.call('SREM', KEYS[2], unpack(pending)) -- whoever scanned may name a chunk twice
  redis.call('HSET', KEYS[3], unpack(outcomes))
  redis.call('ZREM', KEYS[6], unpack(pending))
  redis.call('HDEL', KEYS[4], unpack(tries))
  redis.call('HINCRBY', KEYS[5], 'cancelled', ended)
end
if phase == 'running' and redis.call('SCARD', KEYS[2]) == 0 then
  return {'ok', ended, 1}
end
return {'ok', ended, 0}
