#!lua
-- cache.shorten 1
--
-- Makes values or epochs end within a time. Lengthens nothing.
--
-- KEYS  values or epochs
-- ARGV  1 time in ms
-- Reply how many were made to end earlier

local life = tonumber(ARGV[1])
if not (life and life >= 1) then
  return redis.error_reply('ERR cache.shorten: a lifetime is at least 1 ms')
end
local count = 0
for _, key in ipairs(KEYS) do
  count = count + redis.call('PEXPIRE', key, ARGV[1], 'LT')
end
return count
