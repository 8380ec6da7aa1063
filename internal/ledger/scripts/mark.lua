-- mark sets one field of a run that is there; a bare HSET would leave half a run behind after a loss.
--
-- KEYS[1]  meta
-- ARGV[1]  field
-- ARGV[2]  value
--
-- Returns {"ok"} or {"unknown"}.
if redis.call('EXISTS', KEYS[1]) == 0 then
  return {'unknown'}
end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
return {'ok'}
