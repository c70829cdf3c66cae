#!lua
-- cache.invalidate 1
--
-- Moves epochs: whatever depends on them is over. One that is not there needs no move, because
-- nothing depends on it.
--
-- KEYS  epochs
-- ARGV  none
-- Reply how many there were

local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local epochs = redis.call('MGET', unpack(KEYS))

local count = 0
for index, epoch in ipairs(epochs) do
  if epoch then
    local moved = math.max(tonumber(epoch) + 1, now)
    redis.call('SET', KEYS[index], string.format('%.0f', moved), 'KEEPTTL')
    count = count + 1
  end
end
return count
