#!lua
-- session.delete 1
--
-- Ends a session.
--
-- KEYS  session, revocations
-- ARGV  1 idle time in ms, 2 longest age in ms
-- Reply ENDED | GONE | EXPIRED | REVOKED | THERE, hash (it was moved)

local call = redis.call
local idle, age = tonumber(ARGV[1]), tonumber(ARGV[2])
if not (idle and idle >= 1 and idle % 1 == 0 and age and age >= 1 and age % 1 == 0) then
  return redis.error_reply('ERR invalid lifetime')
end

local s = call('HMGET', KEYS[1], 'v', 'c', 'l', 'a', 'u', 'm')
if s[6] then
  return {'THERE', s[6]}
end
if not s[1] then
  return {'GONE'}
end
call('DEL', KEYS[1])
local time = call('TIME')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])
local created, seen = tonumber(s[2]), tonumber(s[3])
local ends = math.min(tonumber(s[4]), created + age * 1000)
if now >= ends or now >= seen + idle * 1000 then
  return {'EXPIRED'}
end
if s[5] ~= '' then
  local cut = call('ZSCORE', KEYS[2], s[5])
  if cut and tonumber(cut) >= created then
    return {'REVOKED'}
  end
end
return {'ENDED'}
