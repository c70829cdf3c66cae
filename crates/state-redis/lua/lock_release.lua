#!lua
-- lock.release 1
--
-- Gives back what the token holds of the names, and rings the bell.
--
-- KEYS  bell, then the lock of every name
-- ARGV  1 token, 2 lifetime of a ring in ms
-- Reply RELEASED | EXPIRED | STOLEN

local call = redis.call
local token, ring = ARGV[1], tonumber(ARGV[2])
if not (ring and ring >= 1 and ring % 1 == 0) then
  return redis.error_reply('ERR invalid lifetime')
end

local released, expired, stolen = 0, false, false
for i = 2, #KEYS do
  local held = call('GET', KEYS[i])
  if not held then
    expired = true
  elseif string.sub(held, string.find(held, ' ', 1, true) + 1) == token then
    call('DEL', KEYS[i])
    released = released + 1
  else
    stolen = true
  end
end
if released > 0 and call('LPUSH', KEYS[1], '1') > 0 then
  call('LTRIM', KEYS[1], 0, 7)
  call('PEXPIRE', KEYS[1], ARGV[2])
end
if stolen then
  return 'STOLEN'
elseif expired then
  return 'EXPIRED'
end
return 'RELEASED'
