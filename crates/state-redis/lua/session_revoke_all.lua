#!lua
-- session.revoke_all 1
--
-- Ends all sessions of a user that began until now, except one. One that was revoked before, or whose
-- time is over, does not stay.
--
-- KEYS  revocations, index of the user, then the session that stays, if there is one
-- ARGV  1 user, 2 longest age in ms
-- Reply OK | THERE, hash (the one that stays was moved, and nothing was done)
--
-- The member '', which is no user, has the longest time that a revocation matters, in microseconds.

local call = redis.call
local age = tonumber(ARGV[2])
if not (age and age >= 1 and age % 1 == 0) then
  return redis.error_reply('ERR invalid lifetime')
end

local s = KEYS[3] and call('HMGET', KEYS[3], 'm', 'u', 'c', 'a') or {}
if s[1] then
  return {'THERE', s[1]}
end
local time = call('TIME')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])
local before = tonumber(call('ZSCORE', KEYS[1], ARGV[1]) or 0)
local cut = math.max(now, before + 1)
local stays = false
if s[2] == ARGV[1] then
  -- Its begin is about to move, which would make it good again.
  local created = tonumber(s[3])
  stays = created > before and now < math.min(tonumber(s[4]), created + age * 1000)
end
-- A revocation matters as long as a session from before it can live, one that began under a longer
-- age included.
local last = call('ZRANGE', KEYS[2], -1, -1, 'WITHSCORES')
local rest = last[2] and tonumber(last[2]) - now or 0
local matters = math.max(age * 1000, rest, tonumber(call('ZSCORE', KEYS[1], '') or 0))
call('ZREM', KEYS[1], '')
local over = call('ZRANGE', KEYS[1], '-inf', string.format('%.0f', now - matters), 'BYSCORE', 'LIMIT', 0, 100)
if #over > 0 then
  call('ZREM', KEYS[1], unpack(over))
end
call('ZADD', KEYS[1], string.format('%.0f', cut), ARGV[1], string.format('%.0f', matters), '')
call('PEXPIRE', KEYS[1], string.format('%.0f', math.ceil(matters / 1000)))
if stays then
  call('HSET', KEYS[3], 'c', string.format('%.0f', cut + 1))
end
return {'OK'}
