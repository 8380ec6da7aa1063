-- restore puts outcomes that the history has into an attempt, before its plan is stored: what has an outcome then is
-- never pending.
--
-- KEYS[1]  meta
-- KEYS[2]  a<N>:outcome    of the current or of an earlier attempt
-- KEYS[3]  a<N>:progress   of the same
-- KEYS[4]  a<N>:pending    of the same
-- ARGV[1]  the epoch of the caller
-- ARGV[2…] chunk id, digit of the rank with the outcome's JSON, candles fetched, inserted, rejected, in turn; successes only
--
-- Returns {"ok"}, {"unknown"} or {"stale"}. An outcome that is there stays.
local epoch = redis.call('HGET', KEYS[1], 'epoch')
if not epoch then
  return {'unknown'}
end
if epoch ~= ARGV[1] then
  return {'stale'}
end
local restored, fetched, inserted, rejected = 0, 0, 0, 0
for i = 2, #ARGV, 5 do
  if redis.call('HSETNX', KEYS[2], ARGV[i], ARGV[i + 1]) == 1 then
    redis.call('SREM', KEYS[4], ARGV[i])
    restored = restored + 1
    fetched = fetched + tonumber(ARGV[i + 2])
    inserted = inserted + tonumber(ARGV[i + 3])
    rejected = rejected + tonumber(ARGV[i + 4])
  end
end
if restored > 0 then
  redis.call('HINCRBY', KEYS[3], 'succeeded', restored)
  redis.call('HINCRBY', KEYS[3], 'fetched', string.format('%.0f', fetched))
  redis.call('HINCRBY', KEYS[3], 'inserted', string.format('%.0f', inserted))
  redis.call('HINCRBY', KEYS[3], 'rejected', string.format('%.0f', rejected))
end
return {'ok'}
