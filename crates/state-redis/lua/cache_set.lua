#!lua
-- cache.set 1
--
-- Stores values of the same tags and lives, and ends their leases.
--
-- KEYS  epoch of the namespace, epochs of the tags; for every value: value, lease
-- ARGV  1 number of tags, 2 fresh for us, 3 stored for ms, 4 lifetime of epochs in ms; for every
--       value: head, tail
-- Reply time in us

local call = redis.call
local tags, fresh = tonumber(ARGV[1]), tonumber(ARGV[2])
local stored, life = tonumber(ARGV[3]), tonumber(ARGV[4])
if not (tags and fresh and stored and stored >= 1 and life and life >= 1)
  or #KEYS - 1 - tags ~= #ARGV - 4 then
  return redis.error_reply('ERR cache.set: the arguments do not fit')
end

local time = call('TIME')
local now = time[1] * 1000000 + time[2]
local shown = string.format('%.0f', now)

local epochs = call('MGET', unpack(KEYS, 1, 1 + tags))
local packed = {}
for index = 1, 1 + tags do
  packed[index] = struct.pack('>I8', tonumber(epochs[index] or shown))
end
local middle = struct.pack('>I8I8', now, now + fresh) .. table.concat(packed)

for index = 1, 1 + tags do
  if epochs[index] then
    call('PEXPIRE', KEYS[index], ARGV[4], 'GT')
  else
    call('SET', KEYS[index], shown, 'PX', ARGV[4])
  end
end
for at = 5, #ARGV, 2 do
  local key = 1 + tags + at - 4
  call('SET', KEYS[key], ARGV[at] .. middle .. ARGV[at + 1], 'PX', ARGV[3])
  call('DEL', KEYS[key + 1])
end
return shown
