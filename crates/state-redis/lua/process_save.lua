#!lua
-- process.save 1
--
-- Changes a process, with everything it is listed by.
--
-- KEYS  record, active, kinds, ended, events
-- ARGV  1 operation, 2 id, 3 version it is based on or '', 4 fence or '', 5 letters of the statuses it
--       may be made from, 6 new status (a letter) or '', 7 '1' when the new status is an end,
--       8 '1' when it overrides a claim, 9 retention in ms, 10 events kept, 11 retention of events
--       in ms, then fields and values
-- Reply SAVED, version | APPLIED, version | ABSENT | CONFLICT, version, status | FENCED, fence |
--       STATUS, status

local call = redis.call
local retention, kept, keep = tonumber(ARGV[9]), tonumber(ARGV[10]), tonumber(ARGV[11])
if not (retention and retention >= 1 and retention % 1 == 0 and kept and kept >= 1 and kept % 1 == 0
  and keep and keep >= 1 and keep % 1 == 0 and #ARGV % 2 == 1) then
  return redis.error_reply('ERR invalid argument')
end

local stored = call('HMGET', KEYS[1], 'v', 's', 'f', 'o', 'op', 'k', 'l', 'e')
local version, status, fence, owner = stored[1], stored[2], tonumber(stored[3] or 0), stored[4]
if not version then
  return {'ABSENT'}
end
local operations = stored[5] or ''
local applied = string.match(operations, ARGV[1] .. ':(%d+) ')
if applied then
  return {'APPLIED', applied}
end
if ARGV[3] ~= '' and ARGV[3] ~= version then
  return {'CONFLICT', version, status}
end
local overrides = ARGV[8] == '1'
if not overrides then
  if ARGV[4] == '' then
    if owner then
      return {'FENCED', stored[3]}
    end
  elseif tonumber(ARGV[4]) < fence then
    return {'FENCED', stored[3]}
  end
end
-- An end is the last status, whatever the caller allows: what has ended may only be noted on.
local ended = stored[8]
if not string.find(ARGV[5], status, 1, true) or (ended and ARGV[6] ~= '') then
  return {'STATUS', status}
end

local time = call('TIME')
local micros = tonumber(time[1]) * 1000000 + tonumber(time[2])
local now = string.format('%.0f', micros)
local id, kind = ARGV[2], stored[6]
local new = string.format('%.0f', tonumber(version) + 1)
operations = operations .. ARGV[1] .. ':' .. new .. ' '
local _, count = string.gsub(operations, ' ', '')
if count > 4 then
  operations = string.match(operations, '^%S+ (.*)$')
end

local fields = {'v', new, 'u', now, 'op', operations}
for i = 12, #ARGV do
  fields[#fields + 1] = ARGV[i]
end
if ARGV[6] ~= '' then
  status = ARGV[6]
  fields[#fields + 1] = 's'
  fields[#fields + 1] = status
end
if overrides then
  fields[#fields + 1] = 'f'
  fields[#fields + 1] = string.format('%.0f', math.max(fence + 1, micros))
end
local event = 'saved'
if ARGV[7] == '1' then
  event = 'ended'
  fields[#fields + 1] = 'e'
  fields[#fields + 1] = now
  call('HDEL', KEYS[1], 'o', 'l', 'co')
  call('HSET', KEYS[1], unpack(fields))
  call('PEXPIRE', KEYS[1], ARGV[9])
  call('ZREM', KEYS[2], id)
  call('ZREM', KEYS[3], kind .. ':' .. id)
  local over = call('ZRANGE', KEYS[4], '-inf', string.format('%.0f', micros - retention * 1000),
    'BYSCORE', 'LIMIT', 0, 100)
  if #over > 0 then
    call('ZREM', KEYS[4], unpack(over))
  end
  call('ZADD', KEYS[4], now, id)
  call('PEXPIRE', KEYS[4], ARGV[9])
elseif ended then
  call('HSET', KEYS[1], unpack(fields))
else
  call('HSET', KEYS[1], unpack(fields))
  call('PERSIST', KEYS[1])
  call('ZADD', KEYS[2], stored[7] or 0, id)
  call('ZADD', KEYS[3], 0, kind .. ':' .. id)
end
call('XADD', KEYS[5], 'MAXLEN', '~', ARGV[10], '*',
  'id', id, 'k', event, 's', status, 'v', new, 't', now)
call('PEXPIRE', KEYS[5], ARGV[11])
return {'SAVED', new}
