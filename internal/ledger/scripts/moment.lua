-- moment reads the clock of the server that has a run's keys: in a cluster, TIME by itself goes to any node.
--
-- KEYS[1]  a<N>:lease
--
-- Returns {"ok", moment in µs}.
local now = redis.call('TIME')
return {'ok', tonumber(now[1]) * 1000000 + tonumber(now[2])}
