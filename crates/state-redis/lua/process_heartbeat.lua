#!lua
-- process.heartbeat 1
--
-- Prolongs a claim.
--
-- KEYS  record, active
-- ARGV  1 id, 2 worker, 3 fence, 4 lease in ms
-- Reply ALIVE | LOST

local call = redis.call
local lease = tonumber(ARGV[4])
if not (lease and lease >= 1 and lease % 1 == 0) then
  return redis.error_reply('ERR invalid argument')
end

local stored = call('HMGET', KEYS[1], 'o', 'f')
if stored[1] ~= ARGV[2] or stored[2] ~= ARGV[3] then
  return {'LOST'}
end
local time = call('TIME')
local until_ = string.format('%.0f', tonumber(time[1]) * 1000000 + tonumber(time[2]) + lease * 1000)
call('HSET', KEYS[1], 'l', until_)
call('ZADD', KEYS[2], until_, ARGV[1])
return {'ALIVE'}
