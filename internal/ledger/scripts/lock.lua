-- lock takes a lock that is free, unless somebody else waits for it; who finds it taken becomes the next, if nobody is. So
-- one who takes a lock again and again lets the others have their turn. Who has it already, because the answer to an earlier
-- question was lost, gets "ok" again.
--
-- KEYS[1]  the lock
-- KEYS[2]  who is next; its hash tag is the whole of KEYS[1], so that both share a slot
-- ARGV[1]  holder
-- ARGV[2]  milliseconds until the lock ends
-- ARGV[3]  milliseconds for which the next one is waited for
--
-- Returns {"ok"} or {"taken"}.
if redis.call('GET', KEYS[1]) == ARGV[1] then
  redis.call('PEXPIRE', KEYS[1], ARGV[2])
  return {'ok'}
end
local next = redis.call('GET', KEYS[2])
local mine = not next or next == ARGV[1]
if mine and redis.call('EXISTS', KEYS[1]) == 0 then
  redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
  redis.call('DEL', KEYS[2])
  return {'ok'}
end
if mine then
  redis.call('SET', KEYS[2], ARGV[1], 'PX', ARGV[3])
end
return {'taken'}
