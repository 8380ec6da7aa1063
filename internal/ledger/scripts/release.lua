-- release deletes a key that still belongs to the caller.
--
-- KEYS[1]  a lease, or input:<hash>
-- ARGV[1]  the value that it must hold
--
-- Returns {"ok"}, whether it was there or not.
if redis.call('GET', KEYS[1]) == ARGV[1] then
  redis.call('DEL', KEYS[1])
end
return {'ok'}
