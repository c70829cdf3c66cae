#!lua
-- process.claim 1
--
-- Claims a live process for a worker.
--
-- KEYS  record, active, events
-- ARGV  1 operation, 2 id, 3 worker, 4 lease in ms, 5 letters of the live statuses, 6 events kept,
--       7 retention of events in ms
-- Reply CLAIMED, fence, version | BUSY, ms | ABSENT | ENDED, status

local call = redis.call
local lease, kept, keep = tonumber(ARGV[4]), tonumber(ARGV[6]), tonumber(ARGV[7])
if not (lease and lease >= 1 and lease % 1 == 0 and kept and kept >= 1 and kept % 1 == 0
  and keep and keep >= 1 and keep % 1 == 0) then
  return redis.error_reply('ERR invalid argument')
end

local stored = call('HMGET', KEYS[1], 'v', 's', 'f', 'o', 'l', 'co')
local version, status, fence = stored[1], stored[2], tonumber(stored[3] or 0)
if not version then
  return {'ABSENT'}
end
if not string.find(ARGV[5], status, 1, true) then
  return {'ENDED', status}
end
local time = call('TIME')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])
local until_ = string.format('%.0f', now + lease * 1000)
if stored[4] == ARGV[3] and stored[6] == ARGV[1] then
  call('HSET', KEYS[1], 'l', until_)
  call('ZADD', KEYS[2], until_, ARGV[2])
  return {'CLAIMED', stored[3], version}
end
if stored[5] and tonumber(stored[5]) > now then
  return {'BUSY', string.format('%.0f', math.ceil((tonumber(stored[5]) - now) / 1000))}
end

local new = string.format('%.0f', math.max(fence + 1, now))
call('HSET', KEYS[1], 'f', new, 'o', ARGV[3], 'l', until_, 'co', ARGV[1])
call('ZADD', KEYS[2], until_, ARGV[2])
call('XADD', KEYS[3], 'MAXLEN', '~', ARGV[6], '*', 'id', ARGV[2], 'k', 'claimed', 's', status,
  'v', version, 't', string.format('%.0f', now))
call('PEXPIRE', KEYS[3], ARGV[7])
return {'CLAIMED', new, version}
