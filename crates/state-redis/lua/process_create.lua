#!lua
-- process.create 1
--
-- Creates a process unless its id is taken.
--
-- KEYS  record, active, kinds, events
-- ARGV  1 operation, 2 id, 3 kind, 4 status (a letter of a live one), 5 format, 6 payload,
--       7 events kept, 8 retention of events in ms
-- Reply CREATED, version | EXISTS, version | APPLIED, version
--
-- A record is a hash: k kind, s status, v version, c created, u updated, e ended, st step,
-- pc percent, er error, pf format, pd payload, o worker, l end of its lease, f fence,
-- co operation of its claim, op last operations as "<id>:<version> ". Times are microseconds.

local call = redis.call
local kept, keep = tonumber(ARGV[7]), tonumber(ARGV[8])
if not (kept and kept >= 1 and kept % 1 == 0 and keep and keep >= 1 and keep % 1 == 0) then
  return redis.error_reply('ERR invalid argument')
end

local stored = call('HMGET', KEYS[1], 'v', 'op')
if stored[1] then
  local applied = string.match(stored[2] or '', ARGV[1] .. ':(%d+) ')
  if applied then
    return {'APPLIED', applied}
  end
  return {'EXISTS', stored[1]}
end

local time = call('TIME')
local now = string.format('%.0f', tonumber(time[1]) * 1000000 + tonumber(time[2]))
call('HSET', KEYS[1], 'k', ARGV[3], 's', ARGV[4], 'v', now, 'c', now, 'u', now, 'pc', '0',
  'pf', ARGV[5], 'pd', ARGV[6], 'f', '0', 'op', ARGV[1] .. ':' .. now .. ' ')
call('ZADD', KEYS[2], 0, ARGV[2])
call('ZADD', KEYS[3], 0, ARGV[3] .. ':' .. ARGV[2])
call('XADD', KEYS[4], 'MAXLEN', '~', ARGV[7], '*',
  'id', ARGV[2], 'k', 'created', 's', ARGV[4], 'v', now, 't', now)
call('PEXPIRE', KEYS[4], ARGV[8])
return {'CREATED', now}
