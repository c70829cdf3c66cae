#!lua
-- lock.acquire 1
--
-- Takes all names or none, for one holder. A holder that has all of them under one fence keeps it;
-- one that has some of them, or has taken them one after the other, gets a new one for all.
--
-- KEYS  for every name: lock, last fence
-- ARGV  1 token, 2 lifetime in ms, 3 lifetime of the fence in ms
-- Reply GRANTED, fence | HELD, ms until it expires
--
-- A lock is the text "<fence> <token>".

local call = redis.call
local token, ttl, fence_ttl = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
if not (ttl and ttl >= 1 and ttl % 1 == 0 and fence_ttl and fence_ttl >= ttl and fence_ttl % 1 == 0) then
  return redis.error_reply('ERR invalid lifetime')
end

local mine, fence, together, left = 0, nil, true, -1
for i = 1, #KEYS, 2 do
  local held = call('GET', KEYS[i])
  if held then
    local space = string.find(held, ' ', 1, true)
    if string.sub(held, space + 1) == token then
      local under = string.sub(held, 1, space - 1)
      mine = mine + 1
      together = together and (fence == nil or fence == under)
      fence = under
    else
      left = math.max(left, 0, call('PTTL', KEYS[i]))
    end
  end
end
if left >= 0 then
  return {'HELD', left}
end
if together and mine * 2 == #KEYS then
  for i = 1, #KEYS, 2 do
    call('PEXPIRE', KEYS[i], ttl)
  end
  return {'GRANTED', fence}
end

local time = call('TIME')
local top = tonumber(time[1]) * 1000000 + tonumber(time[2])
for i = 2, #KEYS, 2 do
  local last = tonumber(call('GET', KEYS[i]) or 0)
  if last >= top then
    top = last + 1
  end
end
fence = string.format('%.0f', top)
for i = 1, #KEYS, 2 do
  call('SET', KEYS[i + 1], fence, 'PX', ARGV[3])
  call('SET', KEYS[i], fence .. ' ' .. token, 'PX', ARGV[2])
end
return {'GRANTED', fence}
