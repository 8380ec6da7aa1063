-- archive lets the keys of a finished run expire.
--
-- KEYS[1]   meta
-- KEYS[2…]  every other key of the run, over all its attempts
-- ARGV[1]   the attempt whose end the history has
-- ARGV[2]   seconds until they expire
--
-- Returns {"ok"}, {"unknown"}, {"not_done"}, or {"past"} when a newer attempt has begun.
local meta = redis.call('HMGET', KEYS[1], 'attempt', 'phase')
local attempt, phase = unpack(meta)
if not attempt or tonumber(attempt) < tonumber(ARGV[1]) then
  return {'unknown'}
end
if attempt ~= ARGV[1] then
  return {'past'}
end
if phase ~= 'finished' then
  return {'not_done'}
end
for _, key in ipairs(KEYS) do
  redis.call('EXPIRE', key, ARGV[2])
end
return {'ok'}
