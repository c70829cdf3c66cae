#!lua
-- session.list 1
--
-- Describes sessions of a user, and takes out of the index what is over. One whose time is over is
-- removed, as by a load: settings that become longer again must not bring back what no listing shows.
--
-- KEYS  revocations, index of the user, then sessions the index names
-- ARGV  1 user, 2 idle time in ms, 3 longest age in ms, then the hashes of the sessions
-- Reply for every session that is good: hash, created, last seen, description

local call = redis.call
local idle, age = tonumber(ARGV[2]), tonumber(ARGV[3])
if not (idle and idle >= 1 and idle % 1 == 0 and age and age >= 1 and age % 1 == 0 and #ARGV == #KEYS + 1) then
  return redis.error_reply('ERR invalid argument')
end

local time = call('TIME')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])
local cut = tonumber(call('ZSCORE', KEYS[1], ARGV[1]) or -1)
local good, over = {}, {}
for i = 3, #KEYS do
  local hash = ARGV[i + 1]
  local s = call('HMGET', KEYS[i], 'c', 'l', 'a', 'n', 'u')
  local is_good, is_late = false, false
  if s[1] and s[5] == ARGV[1] then
    -- Settings may have become shorter since it was stored.
    local created, seen = tonumber(s[1]), tonumber(s[2])
    local ends = math.min(tonumber(s[3]), created + age * 1000)
    is_late = now >= ends or now >= seen + idle * 1000
    is_good = not is_late and cut < created
  end
  if is_good then
    for _, part in ipairs({hash, s[1], s[2], s[4]}) do
      good[#good + 1] = part
    end
  else
    over[#over + 1] = {hash, is_late and KEYS[i]}
  end
end
for _, one in ipairs(over) do
  call('ZREM', KEYS[2], one[1])
  if one[2] then
    call('DEL', one[2])
  end
end
return good
