#!lua flags=no-writes
-- governance.due_page 1
--
-- Members of a due set behind a place, in the order of (score, member), however many share a score.
--
-- KEYS  due set
-- ARGV  score and member of the place ('' and '' for the start), highest score, how many
-- Reply member, score, member, score and so on

local call = redis.call
local set, most = KEYS[1], tonumber(ARGV[4])

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

local low = 0
if ARGV[1] ~= '' then
  low = call('ZCOUNT', set, '-inf', '(' .. ARGV[1])
  local high = low + call('ZCOUNT', set, ARGV[1], ARGV[1])
  while low < high do
    local middle = math.floor((low + high) / 2)
    if is_behind(call('ZRANGE', set, middle, middle)[1], ARGV[2]) then
      high = middle
    else
      low = middle + 1
    end
  end
end
local last = call('ZCOUNT', set, '-inf', ARGV[3]) - 1
local stop = math.min(last, low + most - 1)
if stop < low then
  return {}
end
return call('ZRANGE', set, low, stop, 'WITHSCORES')
