-- slow makes all processes of an account pause, and ask more slowly afterwards.
--
-- KEYS[1]  the account's state (see take.lua); also strikes: how often in a row
-- ARGV[1]  µs per unit of weight as configured
-- ARGV[2]  for how many µs to pause; 0 = a second, doubled with each strike, at most a minute
--
-- Returns {µs of the pause}. Refusals that arrive while the account is pausing belong to the strike that began the
-- pause: they only make it longer.
--
-- A single refusal may be two requests that the network pushed together, and costs little. Those in a row say that the
-- allowance is lower than configured, and slow down more and more.
local FACTORS, FORGET_AFTER = {1.03, 1.06, 1.12, 1.15}, 60 * 1000000
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])
local state = redis.call('HMGET', KEYS[1], 'paused', 'interval', 'slowed', 'strikes')
local paused, interval, slowed, strikes = tonumber(state[1] or 0), tonumber(state[2] or 0), tonumber(state[3] or 0), tonumber(state[4] or 0)
if now - slowed > FORGET_AFTER then
  strikes = 0
end
-- A request that was on its way when the pause began may be refused until shortly after the pause.
if now > paused + 200000 then
  strikes = strikes + 1
  interval = math.max(interval, tonumber(ARGV[1])) * FACTORS[math.min(strikes, #FACTORS)]
  redis.call('HSET', KEYS[1], 'interval', interval, 'slowed', string.format('%.0f', now), 'strikes', strikes)
end
local pause = tonumber(ARGV[2])
if pause == 0 then
  pause = math.min(60, 2 ^ math.max(strikes - 1, 0)) * 1000000
end
if now + pause > paused then
  redis.call('HSET', KEYS[1], 'paused', string.format('%.0f', now + pause))
end
redis.call('EXPIRE', KEYS[1], 24 * 3600)
return {pause}
