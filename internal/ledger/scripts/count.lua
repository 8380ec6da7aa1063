-- count adds to what the reconciler did for a run. It lives in meta, so that it comes and goes with the run.
--
-- KEYS[1]  meta
-- ARGV[1]  action
-- ARGV[2]  how often
--
-- Returns {"ok"} or {"unknown"}.
if redis.call('EXISTS', KEYS[1]) == 0 then
  return {'unknown'}
end
redis.call('HINCRBY', KEYS[1], 'repairs|' .. ARGV[1], ARGV[2])
return {'ok'}
