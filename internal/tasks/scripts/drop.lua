-- drop removes an active task whose message nobody can decode.
--
-- KEYS[1]  asynq:{queue}:active
-- KEYS[2]  asynq:{queue}:lease
-- KEYS[3]  asynq:{queue}:t:<id>
-- ARGV[1]  id
-- ARGV[2]  the message; another one is left alone
--
-- Returns 1 when it was removed, else 0.
if redis.call('HGET', KEYS[3], 'msg') ~= ARGV[2] then
  return 0
end
redis.call('LREM', KEYS[1], 0, ARGV[1])
redis.call('ZREM', KEYS[2], ARGV[1])
redis.call('DEL', KEYS[3])
return 1
