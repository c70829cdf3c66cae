#!lua
-- share.acquire 1
--
-- Takes a place among holders: as a reader, as the writer, or with one of several permits.
--
-- KEYS  holders, fences of the holders, last fence, claim of a writer
-- ARGV  1 mode (r, w or p), 2 token, 3 lifetime in ms, 4 lifetime of the fence in ms, 5 permits,
--       6 lifetime in ms of the claim of a writer that waits, '0' when it does not
-- Reply GRANTED, fence | HELD, ms until a place is free at the earliest
--
-- A holder is the mode and the token, scored by the microsecond it expires at.

local call = redis.call
local mode, token = ARGV[1], ARGV[2]
local ttl, fence_ttl, permits = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local claim = tonumber(ARGV[6])
if not (ttl and ttl >= 1 and ttl % 1 == 0 and fence_ttl and fence_ttl >= ttl and fence_ttl % 1 == 0) then
  return redis.error_reply('ERR invalid lifetime')
end
if not (permits and permits >= 1 and permits <= 1024 and claim and claim >= 0) then
  return redis.error_reply('ERR invalid argument')
end

local time = call('TIME')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])
local holder = mode .. token

-- What expired: at most as many as there are permits, or readers.
local over = call('ZRANGE', KEYS[1], '-inf', string.format('%.0f', now), 'BYSCORE', 'LIMIT', 0, 1024)
for _, member in ipairs(over) do
  call('ZREM', KEYS[1], member)
  call('HDEL', KEYS[2], member)
end

local fence = call('HGET', KEYS[2], holder)
local left = -1
if not fence then
  local count = call('ZCARD', KEYS[1])
  if mode == 'p' then
    if count >= permits then
      left = tonumber(call('ZRANGE', KEYS[1], 0, 0, 'WITHSCORES')[2]) - now
    end
  elseif count > 0 then
    local last = call('ZRANGE', KEYS[1], -1, -1, 'WITHSCORES')
    if mode == 'w' or string.sub(last[1], 1, 1) == 'w' then
      left = tonumber(last[2]) - now
    end
  end
  if mode == 'r' and left < 0 then
    local writer = call('GET', KEYS[4])
    if writer and writer ~= token then
      left = math.max(call('PTTL', KEYS[4]), 0) * 1000
    end
  end
end
if left >= 0 then
  if mode == 'w' and claim > 0 then
    local writer = call('GET', KEYS[4])
    if not writer or writer == token then
      call('SET', KEYS[4], token, 'PX', ARGV[6])
    end
  end
  return {'HELD', string.format('%.0f', math.ceil(left / 1000))}
end

if not fence then
  local top = now
  local last = tonumber(call('GET', KEYS[3]) or 0)
  if last >= top then
    top = last + 1
  end
  fence = string.format('%.0f', top)
  call('SET', KEYS[3], fence, 'PX', ARGV[4])
  call('HSET', KEYS[2], holder, fence)
  if mode == 'w' and call('GET', KEYS[4]) == token then
    call('DEL', KEYS[4])
  end
end
call('ZADD', KEYS[1], string.format('%.0f', now + ttl * 1000), holder)
local longest = tonumber(call('ZRANGE', KEYS[1], -1, -1, 'WITHSCORES')[2])
local life = string.format('%.0f', math.ceil((longest - now) / 1000))
call('PEXPIRE', KEYS[1], life)
call('PEXPIRE', KEYS[2], life)
return {'GRANTED', fence}
