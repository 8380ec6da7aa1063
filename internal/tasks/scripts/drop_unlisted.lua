-- drop_unlisted removes a task that says that it is active and is in no list: no worker has it, and none will take it. asynq
-- changes state and list in one step; a task gets there when Redis is emptied under its worker.
--
-- KEYS[1]  asynq:{queue}:active
-- KEYS[2]  asynq:{queue}:lease
-- KEYS[3]  asynq:{queue}:t:<id>
-- ARGV[1]  id
--
-- Returns 1 when it was removed, else 0.
if redis.call('HGET', KEYS[3], 'state') ~= 'active' or redis.call('LPOS', KEYS[1], ARGV[1]) then
  return 0
end
redis.call('ZREM', KEYS[2], ARGV[1])
redis.call('DEL', KEYS[3])
return 1
