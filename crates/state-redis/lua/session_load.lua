#!lua
-- session.load 1
--
-- Reads a session that is good, and writes that it was used if that is due. One that is over or was
-- revoked is removed.
--
-- KEYS  session, revocations
-- ARGV  1 idle time in ms, 2 longest age in ms, 3 microseconds from one note of use to the next
-- Reply LIVE, version, created, last seen, end, user, data | GONE | EXPIRED | REVOKED |
--       THERE, hash (it was moved)

local call = redis.call
local idle, age, throttle = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
if not (idle and idle >= 1 and idle % 1 == 0 and age and age >= 1 and age % 1 == 0 and throttle and throttle >= 0) then
  return redis.error_reply('ERR invalid lifetime')
end

local s = call('HMGET', KEYS[1], 'v', 'c', 'l', 'a', 'u', 'd', 'm')
if s[7] then
  return {'THERE', s[7]}
end
if not s[1] then
  return {'GONE'}
end
local time = call('TIME')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])
local created, seen = tonumber(s[2]), tonumber(s[3])
local ends = math.min(tonumber(s[4]), created + age * 1000)
if now >= ends or now >= seen + idle * 1000 then
  call('DEL', KEYS[1])
  return {'EXPIRED'}
end
if s[5] ~= '' then
  local cut = call('ZSCORE', KEYS[2], s[5])
  if cut and tonumber(cut) >= created then
    call('DEL', KEYS[1])
    return {'REVOKED'}
  end
end
if now - seen >= throttle then
  s[3] = string.format('%.0f', now)
  call('HSET', KEYS[1], 'l', s[3])
  call('PEXPIRE', KEYS[1], string.format('%.0f', math.max(math.min(idle, math.ceil((ends - now) / 1000)), 1)))
end
return {'LIVE', s[1], s[2], s[3], s[4], s[5], s[6]}
