#!lua flags=no-writes
-- process.page 1
--
-- Members of a sorted set behind a place, in the order of (score, member).
--
-- KEYS  set
-- ARGV  1 lowest score, 2 highest score or 'now', 3 score and 4 member of the place ('' for none),
--       5 how many
-- Reply member, score, member, score and so on

local call = redis.call
local set, most = KEYS[1], tonumber(ARGV[5])
local highest = ARGV[2]
if highest == 'now' then
  local time = call('TIME')
  highest = string.format('%.0f', tonumber(time[1]) * 1000000 + tonumber(time[2]))
end

-- The locale has a say in how Lua compares texts, so bytes are compared one by one.
local function is_behind(member, place)
  for i = 1, math.min(#member, #place) do
    local a, b = string.byte(member, i), string.byte(place, i)
    if a ~= b then
      return a > b
    end
  end
  return #member > #place
end

local low = call('ZCOUNT', set, '-inf', '(' .. string.gsub(ARGV[1], '^%(', ''))
if string.sub(ARGV[1], 1, 1) == '(' then
  low = call('ZCOUNT', set, '-inf', string.sub(ARGV[1], 2))
end
if ARGV[4] ~= '' then
  local before = call('ZCOUNT', set, '-inf', '(' .. ARGV[3])
  local high = before + call('ZCOUNT', set, ARGV[3], ARGV[3])
  while before < high do
    local middle = math.floor((before + high) / 2)
    if is_behind(call('ZRANGE', set, middle, middle)[1], ARGV[4]) then
      high = middle
    else
      before = middle + 1
    end
  end
  low = math.max(low, before)
end
local last = call('ZCOUNT', set, '-inf', highest) - 1
local stop = math.min(last, low + most - 1)
if stop < low then
  return {}
end
return call('ZRANGE', set, low, stop, 'WITHSCORES')
