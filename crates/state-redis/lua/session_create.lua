#!lua
-- session.create 1
--
-- Creates a session, after every revocation there was.
--
-- KEYS  session, revocations, index of the user, then the sessions that end for it
-- ARGV  1 hash, 2 data, 3 description, 4 user or '', 5 begin of the login in microseconds or '',
--       6 idle time in ms, 7 longest age in ms, 8 most sessions of the user or '0', then the hashes
--       of the sessions that end for it
-- Reply STORED, created, ends | TAKEN | REVOKED | CROWDED
--
-- A session is a hash: d data, v version, c created, l last seen, a end, u user, n description;
-- times are microseconds. One that was moved is a hash for a while: m the new hash. The index has the hashes of a user's sessions, by their end.

local call = redis.call
local idle, age, most = tonumber(ARGV[6]), tonumber(ARGV[7]), tonumber(ARGV[8])
if not (idle and idle >= 1 and idle % 1 == 0 and age and age >= 1 and age % 1 == 0 and most and most >= 0) then
  return redis.error_reply('ERR invalid lifetime')
end

if call('EXISTS', KEYS[1]) == 1 then
  return {'TAKEN'}
end
local time = call('TIME')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])
local user = ARGV[4]
local created = now
if user ~= '' then
  local cut = tonumber(call('ZSCORE', KEYS[2], user) or 0)
  if ARGV[5] ~= '' and tonumber(ARGV[5]) <= cut then
    return {'REVOKED'}
  end
  created = math.max(now, cut + 1)
  -- Sessions that ended by themselves are still in the index, and nobody may ever list it.
  local over = call('ZRANGE', KEYS[3], '-inf', string.format('%.0f', now), 'BYSCORE', 'LIMIT', 0, 100)
  if #over > 0 then
    call('ZREM', KEYS[3], unpack(over))
  end
  if most > 0 then
    local victims = 0
    for i = 9, #ARGV do
      if call('ZSCORE', KEYS[3], ARGV[i]) then
        victims = victims + 1
      end
    end
    if call('ZCARD', KEYS[3]) - victims >= most then
      return {'CROWDED'}
    end
    for i = 9, #ARGV do
      call('ZREM', KEYS[3], ARGV[i])
      call('DEL', KEYS[i - 5])
    end
  end
end
local ends = created + age * 1000
local c, a = string.format('%.0f', created), string.format('%.0f', ends)
call('HSET', KEYS[1], 'd', ARGV[2], 'v', '1', 'c', c, 'l', c, 'a', a, 'u', user, 'n', ARGV[3])
call('PEXPIRE', KEYS[1], string.format('%.0f', math.min(idle, age)))
if user ~= '' then
  call('ZADD', KEYS[3], a, ARGV[1])
  call('PEXPIRE', KEYS[3], string.format('%.0f', math.max(age, call('PTTL', KEYS[3]))))
end
return {'STORED', c, a}
