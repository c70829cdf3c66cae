#!lua
-- governance.fence 1
--
-- Changes the fence of a partition if it is as expected.
--
-- KEYS  fence
-- ARGV  fence as it is expected, fence as it is to be
-- Reply the fence as it is then

local current = redis.call('GET', KEYS[1]) or ''
if current == ARGV[1] then
  redis.call('SET', KEYS[1], ARGV[2])
  return ARGV[2]
end
return current
