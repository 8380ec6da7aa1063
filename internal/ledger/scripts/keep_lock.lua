-- keep_lock makes a lock last on while its holder still has it. A lock that is gone is not taken again: somebody else may have
-- had it meanwhile.
--
-- KEYS[1]  the lock
-- ARGV[1]  holder
-- ARGV[2]  milliseconds until it ends
--
-- Returns {"ok"} or {"lost"}.
if redis.call('GET', KEYS[1]) ~= ARGV[1] then
  return {'lost'}
end
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return {'ok'}
