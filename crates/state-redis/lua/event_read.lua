#!lua flags=no-writes
-- event.read 1
--
-- Reads events behind a place, together with what tells whether any are missing. Trimming leaves
-- no trace that could be asked for: so the event at the place is looked for as well.
--
-- KEYS  log
-- ARGV  1 id of the place or '' for none, 2 how many events
-- Reply last id or '', 1 if nothing behind the place is missing, id of the replication or '', events

local call = redis.call
local limit = tonumber(ARGV[2])
if not limit or limit < 1 then
  return redis.error_reply('ERR event.read: at least one event is read')
end

-- Not every user may ask; then it is not known.
local told = redis.pcall('INFO', 'replication')
local replication = ''
if type(told) == 'string' then
  replication = string.match(told, 'master_replid:(%x+)') or ''
end

if call('EXISTS', KEYS[1]) == 0 then
  return {'', 1, replication, {}}
end
local head, added, length = '', 0, 0
local info = call('XINFO', 'STREAM', KEYS[1])
for at = 1, #info, 2 do
  if info[at] == 'last-generated-id' then
    head = info[at + 1]
  elseif info[at] == 'entries-added' then
    added = info[at + 1]
  elseif info[at] == 'length' then
    length = info[at + 1]
  end
end

local after = ARGV[1]
if after == '' then
  return {head, 1, replication, {}}
end
local unbroken = added == length
  or #call('XRANGE', KEYS[1], after, after, 'COUNT', 1) == 1
local events = call('XRANGE', KEYS[1], '(' .. after, '+', 'COUNT', ARGV[2])
return {head, unbroken and 1 or 0, replication, events}
