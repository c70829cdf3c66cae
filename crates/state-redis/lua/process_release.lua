#!lua
-- process.release 1
--
-- Gives a claim back.
--
-- KEYS  record, active, events
-- ARGV  1 id, 2 worker, 3 fence, 4 events kept, 5 retention of events in ms
-- Reply RELEASED | EXPIRED | STOLEN

local call = redis.call
local kept, keep = tonumber(ARGV[4]), tonumber(ARGV[5])
if not (kept and kept >= 1 and kept % 1 == 0 and keep and keep >= 1 and keep % 1 == 0) then
  return redis.error_reply('ERR invalid argument')
end

local stored = call('HMGET', KEYS[1], 'v', 's', 'o', 'f', 'l')
local time = call('TIME')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])
local lasts = stored[5] and tonumber(stored[5]) > now
if not stored[3] or stored[3] ~= ARGV[2] or stored[4] ~= ARGV[3] then
  return {lasts and 'STOLEN' or 'EXPIRED'}
end
call('HDEL', KEYS[1], 'o', 'l', 'co')
call('ZADD', KEYS[2], 0, ARGV[1])
call('XADD', KEYS[3], 'MAXLEN', '~', ARGV[4], '*', 'id', ARGV[1], 'k', 'released', 's', stored[2],
  'v', stored[1], 't', string.format('%.0f', now))
call('PEXPIRE', KEYS[3], ARGV[5])
return {lasts and 'RELEASED' or 'EXPIRED'}
