#!lua
-- cache.begin 1
--
-- Takes the lease of a key, unless somebody has it or the value is another than the one that was
-- read. Makes the epochs the value is going to depend on where there are none.
--
-- KEYS  value, lease, epoch of the namespace, epochs of the tags
-- ARGV  1 token, 2 lease in ms, 3 mark of the value that was read ('' for none), 4 lifetime of
--       epochs in ms
-- Reply time in us, WON, epochs | time, HELD | time, CHANGED

local call = redis.call
local token, lease, life = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[4])
if not (lease and lease >= 1 and life and life >= 1) then
  return redis.error_reply('ERR cache.begin: lifetimes are at least 1 ms')
end

local time = call('TIME')
local now = string.format('%.0f', time[1] * 1000000 + time[2])

local held = call('GET', KEYS[2])
if held and held ~= token then
  return {now, 'HELD'}
end
if call('GETRANGE', KEYS[1], 8, 15) ~= ARGV[3] then
  return {now, 'CHANGED'}
end
local epochs = call('MGET', unpack(KEYS, 3))

local reply = {now, 'WON'}
for index, epoch in ipairs(epochs) do
  local key = KEYS[index + 2]
  if epoch then
    call('PEXPIRE', key, ARGV[4], 'GT')
  else
    epoch = now
    call('SET', key, epoch, 'PX', ARGV[4])
  end
  reply[index + 2] = epoch
end
call('SET', KEYS[2], token, 'PX', ARGV[2])
return reply
