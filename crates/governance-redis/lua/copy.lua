#!lua
-- governance.copy 2
--
-- Writes into a partition that is being filled, as long as the fence is that of the one who fills
-- it. Every command writes what it is told wherever it is told to, so doing it twice is harmless.
--
-- KEYS  fence, then the key of every command
-- ARGV  fence, then for every command its name, how many arguments it has behind the key, and them
-- Reply fence

local call = redis.call

local fence = call('GET', KEYS[1]) or ''
if fence ~= ARGV[1] then
  return fence
end
local at = 2
for _ = 2, #KEYS do
  at = at + 2 + (tonumber(ARGV[at + 1]) or #ARGV)
end
if at ~= #ARGV + 1 then
  return redis.error_reply('ERR governance.copy: the keys do not fit the arguments')
end

at = 2
for i = 2, #KEYS do
  local count = tonumber(ARGV[at + 1])
  call(ARGV[at], KEYS[i], unpack(ARGV, at + 2, at + 1 + count))
  at = at + 2 + count
end
return fence
