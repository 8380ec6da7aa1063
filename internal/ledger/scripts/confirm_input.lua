-- confirm_input makes a claim last until the run ends, now that the run exists.
--
-- KEYS[1]  input:<hash>
-- ARGV[1]  the claimant
--
-- Returns {"ok"}, or {"taken", holder} when the claim had run out and another run took it.
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then
  return {'taken', holder}
end
redis.call('SET', KEYS[1], ARGV[1])
return {'ok'}
