#!lua
-- process.delete 1
--
-- Deletes a process, with everything it is listed by.
--
-- KEYS  record, active, kinds, ended, events
-- ARGV  1 id, 2 version it must have or '', 3 events kept, 4 retention of events in ms
-- Reply DELETED | ABSENT | CONFLICT, version

local call = redis.call
local kept, keep = tonumber(ARGV[3]), tonumber(ARGV[4])
if not (kept and kept >= 1 and kept % 1 == 0 and keep and keep >= 1 and keep % 1 == 0) then
  return redis.error_reply('ERR invalid argument')
end

local stored = call('HMGET', KEYS[1], 'v', 's', 'k')
if not stored[1] then
  return {'ABSENT'}
end
if ARGV[2] ~= '' and ARGV[2] ~= stored[1] then
  return {'CONFLICT', stored[1]}
end
local time = call('TIME')
local now = string.format('%.0f', tonumber(time[1]) * 1000000 + tonumber(time[2]))
call('DEL', KEYS[1])
call('ZREM', KEYS[2], ARGV[1])
call('ZREM', KEYS[3], stored[3] .. ':' .. ARGV[1])
call('ZREM', KEYS[4], ARGV[1])
call('XADD', KEYS[5], 'MAXLEN', '~', ARGV[3], '*',
  'id', ARGV[1], 'k', 'deleted', 's', stored[2], 'v', stored[1], 't', now)
call('PEXPIRE', KEYS[5], ARGV[4])
return {'DELETED'}
