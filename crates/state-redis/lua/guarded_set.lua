#!lua
-- lock.guarded_set 1
--
-- Writes a value unless one was written under a later fence.
--
-- KEYS  value
-- ARGV  1 fence, 2 value, 3 lifetime in ms
-- Reply STORED | FENCED, fence of the value that is there
--
-- A value is the text "<fence> <value>".

local call = redis.call
local fence, ttl = tonumber(ARGV[1]), tonumber(ARGV[3])
if not (fence and fence >= 0 and fence < 9007199254740992 and ttl and ttl >= 1 and ttl % 1 == 0) then
  return redis.error_reply('ERR invalid argument')
end

-- A fence has at most 16 digits.
local stored = call('GETRANGE', KEYS[1], 0, 16)
local space = string.find(stored, ' ', 1, true)
if space then
  local current = string.sub(stored, 1, space - 1)
  if tonumber(current) > fence then
    return {'FENCED', current}
  end
end
call('SET', KEYS[1], ARGV[1] .. ' ' .. ARGV[2], 'PX', ARGV[3])
return {'STORED'}
