-- wait shows what a worker waits for, in place of what it showed before. What others showed and did not show again in time
-- goes: they are dead, or go on.
--
-- KEYS[1]  waits           worker → the moment, in µs of Redis' clock, at which it showed its waits, then a line for each: the
--                          moment since when it waits, then JSON
-- ARGV[1]  worker
-- ARGV[2]  for how many ms a worker's waits count when it does not show them again
-- ARGV[3]  how many workers are kept
-- ARGV[4…] for how many µs it has waited, and JSON, in turn; none = it goes on
--
-- Returns {"ok"}. The key expires by itself, so it may also be written when its run is over.
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])
local all = redis.call('HGETALL', KEYS[1])
local others = 0
for i = 1, #all, 2 do
  if all[i] ~= ARGV[1] then
    local shown = tonumber(string.match(all[i + 1], '^%d+')) or 0
    if shown < now - tonumber(ARGV[2]) * 1000 then
      redis.call('HDEL', KEYS[1], all[i])
    else
      others = others + 1
    end
  end
end
if #ARGV == 3 or others >= tonumber(ARGV[3]) then
  redis.call('HDEL', KEYS[1], ARGV[1])
  return {'ok'}
end
local lines = {string.format('%.0f', now)}
for i = 4, #ARGV, 2 do
  lines[#lines + 1] = string.format('%.0f', now - tonumber(ARGV[i])) .. ' ' .. ARGV[i + 1]
end
redis.call('HSET', KEYS[1], ARGV[1], table.concat(lines, '\n'))
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return {'ok'}
