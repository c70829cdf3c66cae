#!lua
-- cache.fill 1
--
-- Stores a loaded value, if its lease is still the caller's and nothing it depends on was
-- invalidated. Either way the lease is over when it was the caller's.
--
-- KEYS  value, lease, epoch of the namespace, epochs of the tags
-- ARGV  1 token, 2 fresh for us, 3 stored for ms, 4 lifetime of epochs in ms, 5 head, 6 tail, then
--       the epochs the load began with, in the order of their keys
-- Reply time in us, STORED | LOST | MOVED

local call = redis.call
local fresh, stored, life = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
if not (fresh and stored and stored >= 1 and life and life >= 1) or #ARGV - 6 ~= #KEYS - 2 then
  return redis.error_reply('ERR cache.fill: the arguments do not fit')
end

local time = call('TIME')
local now = time[1] * 1000000 + time[2]
local shown = string.format('%.0f', now)

if call('GET', KEYS[2]) ~= ARGV[1] then
  return {shown, 'LOST'}
end
local epochs = call('MGET', unpack(KEYS, 3))
local packed = {}
for index, epoch in ipairs(epochs) do
  if epoch ~= ARGV[6 + index] then
    call('DEL', KEYS[2])
    return {shown, 'MOVED'}
  end
  packed[index] = struct.pack('>I8', tonumber(epoch))
end

local middle = struct.pack('>I8I8', now, now + fresh) .. table.concat(packed)
for index = 3, #KEYS do
  call('PEXPIRE', KEYS[index], ARGV[4], 'GT')
end
call('SET', KEYS[1], ARGV[5] .. middle .. ARGV[6], 'PX', ARGV[3])
call('DEL', KEYS[2])
return {shown, 'STORED'}
