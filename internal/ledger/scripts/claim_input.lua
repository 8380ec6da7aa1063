-- claim_input reserves an input hash for a run that is about to be opened.
--
-- KEYS[1]  input:<hash>
-- ARGV[1]  the claimant
-- ARGV[2]  for how many milliseconds: the claim of a process that dies before its run exists ends by itself
-- ARGV[3]  the holder that may be replaced, known to be over, or ""
--
-- Returns {"ok"} or {"taken", holder, 1 when the holder's run is still being opened, else 0}.
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] and holder ~= ARGV[3] then
  return {'taken', holder, redis.call('PTTL', KEYS[1]) > 0 and 1 or 0}
end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return {'ok'}
