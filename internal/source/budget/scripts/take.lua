-- take reserves the next free moment for a request (GCRA without a burst).
--
-- KEYS[1]  the account's state, a hash: next (the first µs that is free), paused and parked (until when, µs), interval
--          (µs per unit of weight, above the configured one after the service said that it was too fast), slowed (when
--          interval last changed, µs), serial (of the last moment)
-- KEYS[2]  the account's members, a sorted set of process names by when they were last here (µs)
-- KEYS[3]  the account's latest moments, a sorted set of serials by when their requests go (µs); see move.lua
-- ARGV[1]  µs per unit of weight as configured
-- ARGV[2]  the request's weight
-- ARGV[3]  the process
-- ARGV[4]  how far ahead a moment may be reserved, µs: what is reserved is not affected by a later pause
-- ARGV[5]  how many requests like this one the service allows in a second, at least 1
-- ARGV[6]  by how many µs a process may miss its moment without saying so
--
-- Returns {status, µs, members, serial}: "go" in so many µs; "later": nothing is reserved, ask again in so many µs; "parked" for
-- so many µs.
local MEMBER_FOR, KEEP_FOR = 30 * 1000000, 24 * 3600
local STEADY_FOR, STEP_EVERY, STEP = 30 * 1000000, 10 * 1000000, 0.98
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])
local state = redis.call('HMGET', KEYS[1], 'next', 'paused', 'parked', 'interval', 'slowed')
local next, paused, parked, interval, slowed = unpack(state)
next, paused, parked = tonumber(next or 0), tonumber(paused or 0), tonumber(parked or 0)
local configured = tonumber(ARGV[1])
interval = math.max(tonumber(interval or 0), configured)
slowed = tonumber(slowed or 0)

redis.call('ZADD', KEYS[2], now, ARGV[3])
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', now - MEMBER_FOR)
redis.call('EXPIRE', KEYS[2], KEEP_FOR)
local members = redis.call('ZCARD', KEYS[2])

if parked > now then
  return {'parked', parked - now, members, 0}
end
if paused > now then
  return {'later', paused - now, members, 0}
end
-- Back to the configured speed in small steps, once the service has been content for a while.
if interval > configured and now - slowed > STEADY_FOR then
  interval = math.max(configured, interval * STEP)
  redis.call('HSET', KEYS[1], 'interval', interval, 'slowed', string.format('%.0f', now - STEADY_FOR + STEP_EVERY))
end
local start = math.max(now, next)
-- Requests that went later than at their moment move what follows a second behind them, not what follows at once.
local allowed = tonumber(ARGV[5])
local earlier = redis.call('ZREVRANGE', KEYS[3], allowed - 1, allowed - 1, 'WITHSCORES')
if earlier[2] then
  start = math.max(start, tonumber(earlier[2]) + allowed * configured * tonumber(ARGV[2]) - tonumber(ARGV[6]))
end
if start - now > tonumber(ARGV[4]) then
  return {'later', start - now - tonumber(ARGV[4]), members, 0}
end
local serial = redis.call('HINCRBY', KEYS[1], 'serial', 1)
redis.call('ZADD', KEYS[3], string.format('%.0f', start), serial)
redis.call('ZREMRANGEBYRANK', KEYS[3], 0, -allowed - 64)
redis.call('EXPIRE', KEYS[3], KEEP_FOR)
redis.call('HSET', KEYS[1], 'next', string.format('%.0f', start + interval * tonumber(ARGV[2])), 'configured', ARGV[1])
redis.call('EXPIRE', KEYS[1], KEEP_FOR)
return {'go', start - now, members, serial}
