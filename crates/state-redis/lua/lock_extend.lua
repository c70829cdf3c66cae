#!lua
-- lock.extend 1
--
-- Gives all names a new lifetime, if the token holds all of them.
--
-- KEYS  for every name: lock, last fence
-- ARGV  1 token, 2 lifetime in ms, 3 lifetime of the fence in ms
-- Reply EXTENDED | LOST

local call = redis.call
local token, ttl, fence_ttl = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
if not (ttl and ttl >= 1 and ttl % 1 == 0 and fence_ttl and fence_ttl >= ttl and fence_ttl % 1 == 0) then
  return redis.error_reply('ERR invalid lifetime')
end

for i = 1, #KEYS, 2 do
  local held = call('GET', KEYS[i])
  if not held or string.sub(held, string.find(held, ' ', 1, true) + 1) ~= token then
    return 'LOST'
  end
end
for i = 1, #KEYS, 2 do
  call('PEXPIRE', KEYS[i], ARGV[2])
  call('PEXPIRE', KEYS[i + 1], ARGV[3])
end
return 'EXTENDED'
