#!lua
-- session.relocate 1
--
-- Moves a session that is good to a new id; with a user it begins anew as that user's.
--
-- KEYS  old session, new session, revocations, index of the old user, index of the new one, then
--       the sessions of the new user that end for it
-- ARGV  1 old hash, 2 new hash, 3 version, 4 old user or '', 5 new user or '' for the same,
--       6 begin of the login in microseconds or '', 7 idle time in ms, 8 longest age in ms,
--       9 how long the old id leads to the new one in ms, '0' for not at all,
--       10 most sessions of the new user or '0', then the hashes of the sessions that end for it
-- Reply MOVED, version, created, last seen, end, user, data | TAKEN | CONFLICT, version |
--       LOGIN (revoked since it began) | CROWDED | GONE | EXPIRED | REVOKED | THERE, hash (it was moved)

local call = redis.call
local idle, age, grace, most = tonumber(ARGV[7]), tonumber(ARGV[8]), tonumber(ARGV[9]), tonumber(ARGV[10])
if not (idle and idle >= 1 and idle % 1 == 0 and age and age >= 1 and age % 1 == 0
  and grace and grace >= 0 and grace % 1 == 0 and most and most >= 0) then
  return redis.error_reply('ERR invalid lifetime')
end
-- An id from before a login must not lead to what the login opens.
if grace > 0 and ARGV[5] ~= '' then
  return redis.error_reply('ERR no grace for a login')
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
  local cut = call('ZSCORE', KEYS[3], s[5])
  if cut and tonumber(cut) >= created then
    call('DEL', KEYS[1])
    return {'REVOKED'}
  end
end
if s[1] ~= ARGV[3] or s[5] ~= ARGV[4] then
  return {'CONFLICT', s[1]}
end
if call('EXISTS', KEYS[2]) == 1 then
  return {'TAKEN'}
end
local user = s[5]
if ARGV[5] ~= '' then
  user = ARGV[5]
  local cut = tonumber(call('ZSCORE', KEYS[3], user) or 0)
  if ARGV[6] ~= '' and tonumber(ARGV[6]) <= cut then
    return {'LOGIN'}
  end
  -- As when a session is created; the one that moves is counted once.
  local over = call('ZRANGE', KEYS[5], '-inf', string.format('%.0f', now), 'BYSCORE', 'LIMIT', 0, 100)
  if #over > 0 then
    call('ZREM', KEYS[5], unpack(over))
  end
  if most > 0 then
    local stay = call('ZCARD', KEYS[5])
    if call('ZSCORE', KEYS[5], ARGV[1]) then
      stay = stay - 1
    end
    for i = 11, #ARGV do
      if call('ZSCORE', KEYS[5], ARGV[i]) then
        stay = stay - 1
      end
    end
    if stay >= most then
      return {'CROWDED'}
    end
    for i = 11, #ARGV do
      if call('ZREM', KEYS[5], ARGV[i]) == 1 then
        call('DEL', KEYS[i - 5])
      end
    end
  end
  local begun = math.max(now, cut + 1)
  s[2] = string.format('%.0f', begun)
  s[3] = s[2]
  s[4] = string.format('%.0f', begun + age * 1000)
  ends = begun + age * 1000
end
local version = string.format('%.0f', tonumber(s[1]) + 1)
call('RENAME', KEYS[1], KEYS[2])
call('HSET', KEYS[2], 'v', version, 'u', user, 'c', s[2], 'l', s[3], 'a', s[4])
local left = math.min(tonumber(s[3]) + idle * 1000, ends) - now
call('PEXPIRE', KEYS[2], string.format('%.0f', math.max(math.ceil(left / 1000), 1)))
if grace > 0 then
  call('HSET', KEYS[1], 'm', ARGV[2])
  call('PEXPIRE', KEYS[1], ARGV[9])
end
if s[5] ~= '' then
  call('ZREM', KEYS[4], ARGV[1])
end
if user ~= '' then
  call('ZADD', KEYS[5], s[4], ARGV[2])
  -- It may have begun under a longer age, and the index may be new.
  local rest = math.ceil((tonumber(s[4]) - now) / 1000)
  call('PEXPIRE', KEYS[5], string.format('%.0f', math.max(age, rest, call('PTTL', KEYS[5]))))
end
return {'MOVED', version, s[2], s[3], s[4], user, s[6]}
