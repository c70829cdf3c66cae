#!lua
-- rate_limit.refund 1
--
-- Gives a cost back under all rules, as far as it is still counted.
--
-- KEYS  the counter of every rule
-- ARGV  1 cost, then for every rule: algorithm (g, s or f), for g microseconds from one to the next,
--       for s and f those of the window
-- Reply OK

local call = redis.call
local cost = tonumber(ARGV[1])
if not (cost and cost >= 0 and cost % 1 == 0) then
  return redis.error_reply('ERR invalid cost')
end
for i = 2, #ARGV, 2 do
  local unit = tonumber(ARGV[i + 1])
  if not (unit and unit >= 1 and unit % 1 == 0) then
    return redis.error_reply('ERR invalid limit')
  end
end

local time = call('TIME')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])
for i = 1, #KEYS do
  local kind, unit = ARGV[i * 2], tonumber(ARGV[i * 2 + 1])
  if kind == 'g' then
    local stored = tonumber(call('GET', KEYS[i]) or 0) or 0
    local due = stored - cost * unit
    if stored > 0 and due > now then
      call('SET', KEYS[i], string.format('%.0f', due), 'PX', string.format('%.0f', math.ceil((due - now) / 1000)))
    elseif stored > 0 then
      call('DEL', KEYS[i])
    end
  else
    local stored = call('HMGET', KEYS[i], 'w', 'c', 'p')
    local index = (now - math.fmod(now, unit)) / unit
    if tonumber(stored[1] or -2) == index then
      local count = math.max(tonumber(stored[2]) - cost, 0)
      if count == 0 and (tonumber(stored[3]) == 0 or kind == 'f') then
        call('DEL', KEYS[i])
      else
        call('HSET', KEYS[i], 'c', string.format('%.0f', count))
      end
    end
  end
end
return 'OK'
