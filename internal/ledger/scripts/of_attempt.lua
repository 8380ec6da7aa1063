-- of_attempt picks the chunks that belong to an attempt: those that are pending or have an outcome, in one step, because
-- a chunk moves from one to the other at any time.
--
-- KEYS[1]  a<N>:pending
-- KEYS[2]  a<N>:outcome
-- ARGV     chunk ids
--
-- Returns {"ok", 1 or 0 for each chunk}.
local belongs = {'ok'}
for _, chunk in ipairs(ARGV) do
  local found = redis.call('SISMEMBER', KEYS[1], chunk)
  if found == 0 then
    found = redis.call('HEXISTS', KEYS[2], chunk)
  end
  belongs[#belongs + 1] = found
end
return belongs
