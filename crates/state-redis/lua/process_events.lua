#!lua flags=no-writes
-- process.events 1
--
-- Events behind a place, and whether some before them were dropped unread.
--
-- KEYS  events
-- ARGV  1 id of the last event that was read, 2 how many at most
-- Reply '1' for a gap or '0', id of the last event there is, events

local call = redis.call
local info = redis.pcall('XINFO', 'STREAM', KEYS[1])
if info.err then
  return {ARGV[1] == '0-0' and '0' or '1', '0-0', {}}
end
local about = {}
for i = 1, #info, 2 do
  about[info[i]] = info[i + 1]
end
local last, after = about['last-generated-id'], ARGV[1]

local gap
if after == '0-0' then
  gap = about['entries-added'] > about['length']
elseif after == last then
  gap = false
else
  gap = #call('XRANGE', KEYS[1], after, after) == 0
end
if gap then
  after = '0-0'
end
return {gap and '1' or '0', last, call('XRANGE', KEYS[1], '(' .. after, '+', 'COUNT', ARGV[2])}
