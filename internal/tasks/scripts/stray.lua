-- stray lists, and mends, tasks of a queue that asynq calls active and will never touch again: its recovery looks only at leases.
--
-- KEYS[1]  asynq:{queue}:active   list of ids
-- KEYS[2]  asynq:{queue}:lease    id → when its lease ends, in seconds by a worker's clock
-- ARGV[1]  prefix of the tasks' keys, which share the queue's hash tag
-- ARGV[2]  seconds that a lease lasts
-- ARGV[3]  "1" to mend
--
-- Returns {"ok", active without a lease, without a task, id, message, …}: the messages of the tasks whose lease ran out, for
-- the caller to decode. Mending gives the first a lease, which a worker that still runs the task keeps and asynq's recovery
-- takes up otherwise; and drops the second. Both lists have as many entries as workers have tasks.
local time = redis.call('TIME')
local now = tonumber(time[1])
local active, without_lease, without_task = {}, 0, 0
local answer = {'ok', 0, 0}
for _, id in ipairs(redis.call('LRANGE', KEYS[1], 0, -1)) do
  active[id] = true
  if redis.call('HEXISTS', ARGV[1] .. id, 'msg') == 0 then
    without_task = without_task + 1
    if ARGV[3] == '1' then
      redis.call('LREM', KEYS[1], 0, id)
      redis.call('ZREM', KEYS[2], id)
    end
  elseif not redis.call('ZSCORE', KEYS[2], id) then
    without_lease = without_lease + 1
    if ARGV[3] == '1' then
      redis.call('ZADD', KEYS[2], now + tonumber(ARGV[2]), id)
    end
  end
end
for _, id in ipairs(redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', now)) do
  if not active[id] then
    without_task = without_task + 1
    if ARGV[3] == '1' then
      redis.call('ZREM', KEYS[2], id)
    end
  else
    local message = redis.call('HGET', ARGV[1] .. id, 'msg')
    if message then
      answer[#answer + 1] = id
      answer[#answer + 1] = message
    end
  end
end
answer[2], answer[3] = without_lease, without_task
return answer
