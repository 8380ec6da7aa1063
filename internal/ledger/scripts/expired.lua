-- expired lists chunks whose lease ran out: the worker that had it died, stands still or cannot reach Redis.
--
-- KEYS[1]  a<N>:lease
-- KEYS[2]  a<N>:tries
-- ARGV[1]  how many at most
--
-- Returns {"ok", chunk id, number of its last execution, generation of its task, …}.
local now = redis.call('TIME')
local now_us = string.format('%.0f', tonumber(now[1]) * 1000000 + tonumber(now[2]))
local answer = {'ok'}
for _, chunk in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now_us, 'LIMIT', 0, ARGV[1])) do
  local tries = redis.call('HMGET', KEYS[2], chunk .. '|run', chunk .. '|gen')
  answer[#answer + 1] = chunk
  answer[#answer + 1] = tonumber(tries[1] or '0')
  answer[#answer + 1] = tonumber(tries[2] or '0')
end
return answer
