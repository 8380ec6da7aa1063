-- binding reads to which deployment this Redis belongs, binds it, or notes that a process is present.
--
-- KEYS[1]  quantbot:deployment              hash: deployment, id (this Redis' own), signed_at (ClickHouse's time of the last
--                                           presence, in µs), signed_us (when Redis heard of it, by its own clock)
-- KEYS[2]  {quantbot:deployment}:processes  sorted set: process → when it counts as gone, in µs; its hash tag is the whole of
--                                           KEYS[1], so that both share a slot
-- ARGV[1]  read, bind, presence or leave
-- bind:    ARGV[2] the deployment, ARGV[3] the id of this Redis; what is bound stays as it is
-- presence: ARGV[2] the process, ARGV[3] for how many µs it counts as alive, ARGV[4] ClickHouse's time of the presence in µs, or 0
-- leave:   ARGV[2] the process
--
-- Returns {"ok", deployment or "", id or "", server, signed_at, age of the presence in µs, living processes}. The server is the
-- run_id of the process that has the key, "" where INFO is refused or says none: it distinguishes a Redis that was emptied from
-- another one.
local now = redis.call('TIME')
local now_us = tonumber(now[1]) * 1000000 + tonumber(now[2])
if ARGV[1] == 'bind' and redis.call('EXISTS', KEYS[1]) == 0 then
  redis.call('HSET', KEYS[1], 'deployment', ARGV[2], 'id', ARGV[3])
elseif ARGV[1] == 'presence' and redis.call('EXISTS', KEYS[1]) == 1 then
  redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', string.format('%.0f', now_us))
  redis.call('ZADD', KEYS[2], string.format('%.0f', now_us + tonumber(ARGV[3])), ARGV[2])
  if ARGV[4] ~= '0' then
    redis.call('HSET', KEYS[1], 'signed_at', ARGV[4], 'signed_us', string.format('%.0f', now_us))
  end
elseif ARGV[1] == 'leave' then
  redis.call('ZREM', KEYS[2], ARGV[2])
end
local living = redis.call('ZCOUNT', KEYS[2], string.format('%.0f', now_us), '+inf')
local server = ''
local info = redis.pcall('INFO', 'server')
if type(info) == 'string' then
  server = string.match(info, 'run_id:(%x+)') or ''
end
local bound = redis.call('HMGET', KEYS[1], 'deployment', 'id', 'signed_at', 'signed_us')
local age = 0
if bound[4] then
  age = now_us - tonumber(bound[4])
end
return {'ok', bound[1] or '', bound[2] or '', server, bound[3] or '0', age, living}
