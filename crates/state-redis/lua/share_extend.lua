#!lua
-- share.extend 1
--
-- Gives a holder a new lifetime, if it still has its place.
--
-- KEYS  holders, fences of the holders, last fence
-- ARGV  1 mode (r, w or p), 2 token, 3 lifetime in ms, 4 lifetime of the fence in ms
-- Reply EXTENDED | LOST

local call = redis.call
local holder, ttl, fence_ttl = ARGV[1] .. ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
if not (ttl and ttl >= 1 and ttl % 1 == 0 and fence_ttl and fence_ttl >= ttl and fence_ttl % 1 == 0) then
  return redis.error_reply('ERR invalid lifetime')
end

local time = call('TIME')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])
local until_ = call('ZSCORE', KEYS[1], holder)
if not until_ or tonumber(until_) <= now then
  return 'LOST'
end
call('ZADD', KEYS[1], string.format('%.0f', now + ttl * 1000), holder)
local longest = tonumber(call('ZRANGE', KEYS[1], -1, -1, 'WITHSCORES')[2])
local life = string.format('%.0f', math.ceil((longest - now) / 1000))
call('PEXPIRE', KEYS[1], life)
call('PEXPIRE', KEYS[2], life)
call('PEXPIRE', KEYS[3], ARGV[4])
return 'EXTENDED'
