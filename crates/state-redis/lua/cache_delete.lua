#!lua
-- cache.delete 1
--
-- Removes values and ends their leases.
--
-- KEYS  for every value: value, lease
-- ARGV  none
-- Reply for every value 1 if there was one, else 0

local reply = {}
for at = 1, #KEYS, 2 do
  reply[#reply + 1] = redis.call('UNLINK', KEYS[at])
  redis.call('DEL', KEYS[at + 1])
end
return reply
