#!lua flags=no-writes
-- governance.common 1
--
-- What several sets of ordinals have in common, if one of them is short: the server looks up its
-- members in the others, so its length is what the call takes.
--
-- KEYS  fence, counters, dictionary, two sets or more
-- ARGV  how many members the shortest may have, then the names of the sets in the dictionary
-- Reply fence, counters, whether the dictionary has the names, ordinals upwards. Without ordinals if
--       the dictionary has one of the names, or the shortest set has more members

local call = redis.call
local reply = call('MGET', KEYS[1], KEYS[2])
local names = {}
for i = 2, #ARGV do
  names[i - 1] = ARGV[i]
end
local listed = call('SMISMEMBER', KEYS[3], unpack(names))
reply[3] = listed
for i = 1, #listed do
  if listed[i] == 1 then
    return reply
  end
end
local shortest = math.huge
for i = 4, #KEYS do
  shortest = math.min(shortest, call('ZCARD', KEYS[i]))
end
if shortest <= tonumber(ARGV[1]) then
  -- An ordinal is its own score in every set; the sum of them would come in the same order.
  reply[4] = call('ZINTER', #KEYS - 3, unpack(KEYS, 4))
end
return reply
