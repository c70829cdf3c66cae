#!lua
-- share.release 1
--
-- Gives a place among holders back, and rings the bell.
--
-- KEYS  bell, holders, fences of the holders, claim of a writer
-- ARGV  1 mode (r, w or p), 2 token, 3 lifetime of a ring in ms, 4 permits
-- Reply RELEASED | EXPIRED | STOLEN

local call = redis.call
local mode, token, ring, permits = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
if not (ring and ring >= 1 and ring % 1 == 0 and permits and permits >= 1) then
  return redis.error_reply('ERR invalid argument')
end

local time = call('TIME')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])
local holder = mode .. token
local until_ = call('ZSCORE', KEYS[2], holder)
call('ZREM', KEYS[2], holder)
call('HDEL', KEYS[3], holder)
if mode == 'w' and call('GET', KEYS[4]) == token then
  call('DEL', KEYS[4])
end
if until_ and tonumber(until_) > now then
  if call('LPUSH', KEYS[1], '1') > 0 then
    call('LTRIM', KEYS[1], 0, 7)
    call('PEXPIRE', KEYS[1], ARGV[3])
  end
  return 'RELEASED'
end

-- Whether somebody else has the place now.
local others = call('ZCOUNT', KEYS[2], '(' .. string.format('%.0f', now), '+inf')
if mode == 'r' then
  local last = call('ZRANGE', KEYS[2], -1, -1, 'WITHSCORES')
  local is_written = last[1] and string.sub(last[1], 1, 1) == 'w' and tonumber(last[2]) > now
  return is_written and 'STOLEN' or 'EXPIRED'
end
return (others >= permits) and 'STOLEN' or 'EXPIRED'
