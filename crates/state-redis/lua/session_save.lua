#!lua
-- session.save 1
--
-- Writes the data of a session that is good and has the version it is based on.
--
-- KEYS  session, revocations
-- ARGV  1 version, 2 data, 3 idle time in ms, 4 longest age in ms
-- Reply SAVED, version | CONFLICT, version | GONE | EXPIRED | REVOKED | THERE, hash (it was moved)

local call = redis.call
local idle, age = tonumber(ARGV[3]), tonumber(ARGV[4])
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
if s[1] ~= ARGV[1] then
  return {'CONFLICT', s[1]}
end
local version = string.format('%.0f', tonumber(s[1]) + 1)
call('HSET', KEYS[1], 'd', ARGV[2], 'v', version, 'l', string.format('%.0f', now))
call('PEXPIRE', KEYS[1], string.format('%.0f', math.max(math.min(idle, math.ceil((ends - now) / 1000)), 1)))
return {'SAVED', version}
