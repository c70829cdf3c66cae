#!lua
-- governance.apply 4
--
-- The only writer: stores, changes or removes requests and a state, with everything they are found
-- by, in one step. Checks everything, then writes; no domain logic; no key is built in here.
--
-- KEYS  fence, counters, feed, journal chunk, journal chunk after it (if there are several records);
--       for every record: frame; id table (create, remove); bucket of the idempotency key (create,
--       remove); then its index keys in the order of the counts;
--       state record (if there is one); dictionaries (if there are names for them).
-- ARGV  1 fence, 2 length of the feed, 3 the step: `STEP` below;
--       for every record 6: first 72 bytes that are stored ('' for a create), frame ('' to remove,
--       '=' to keep what is there), event ('' for none), `RECORD` below, deadline, digest of the
--       idempotency key or '';
--       for the state 3: version that is stored (8 bytes, or '' for none), record ('=' to keep what
--       is there), event ('' for none);
--       then the names for the dictionaries.
-- Reply OK, counters as they are now | CONFLICT, record from 0, stored frame | DUPLICATE, request id |
--       STATE, stored record | CHUNK, counters | FENCED, stored fence | REGRESSED
--
-- The server takes some time for every byte of an argument and for every conversion between text and
-- numbers, so numbers come packed, and what the client knows as text comes as text.

-- Records, states, dictionaries; 1 if the feed is long; one more than the chunk of the ordinal (create) or 0; journal chunk;
-- the counters as they are known: ordinals, last stamp, journal entries.
local STEP = '>BBBBI5I5I8I8I8'
-- First decision, decisions; bits to set, bits to clear, bits to clear in chunks that are full, ordinal
-- sets to add to and to remove from, inboxes to add to and to remove from, due sets to add to and to
-- remove from; id. Then, zero for a create: ordinal, member of an inbox, member of a due set, bit and
-- ordinal as text.
local RECORD = '>I2I2I2I2I2I2I2I2I2I2I2c16I8c28c24ss'

local call, unpack, pack, find = redis.call, struct.unpack, struct.pack, string.find

local function refuse(what)
  return redis.error_reply('ERR governance.apply: ' .. what)
end

-- Whether a text is this number as the server writes it.
local function is(text, number)
  return (text == '0' or find(text, '^[1-9]%d*$')) and tonumber(text) == number
end

local known = call('MGET', KEYS[1], KEYS[2])
local fence, counters = known[1], known[2]
if fence ~= ARGV[1] then
  return {'FENCED', fence or ''}
end
local records, states, dictionaries, long, chunk, journal, ordinals_known, stamp_known, entries_known =
  unpack(STEP, ARGV[3])
-- For MGET a value of another type is none; this raises then.
counters = counters or call('GET', KEYS[2])
local next_ordinal, last_stamp, entries = 0, 0, 0
if counters then
  next_ordinal, last_stamp, entries = unpack('>I8I8I8', counters)
end
-- Counters only rise: a server that has lower ones than it told of has lost writes.
if next_ordinal < ordinals_known or last_stamp < stamp_known or entries < entries_known then
  return {'REGRESSED'}
end

-- Everything is checked before anything is written. That a key is of another type is found out by
-- asking how long it is, which raises then; the feed is written first.
if 3 + records * 6 + states * 3 > #ARGV then
  return refuse('arguments are missing')
end
local first_key = records > 1 and 5 or 4
call('STRLEN', KEYS[4])
if records > 1 then
  call('STRLEN', KEYS[5])
end
local key, arg = first_key, 3
for i = 1, records do
  key = key + 1
  local block, digest = ARGV[arg + 1], ARGV[arg + 6]
  local _, _, set, clear, full, add, remove, open, close, due, undue, _, ordinal, _, _, bit, text =
    unpack(RECORD, ARGV[arg + 4])
  if block ~= '' and not (is(text, ordinal) and is(bit, ordinal % 65536)) then
    return refuse('an ordinal is wrong')
  end
  if due > 0 and (#ARGV[arg + 5] > 20 or not find(ARGV[arg + 5], '^%-?%d+$')) then
    return refuse('a deadline is wrong')
  end
  if call('GETRANGE', KEYS[key], '0', '71') ~= block then
    return {'CONFLICT', tostring(i - 1), call('GET', KEYS[key]) or ''}
  end
  if block == '' or ARGV[arg + 2] == '' then
    key = key + 1
    call('STRLEN', KEYS[key])
    if digest ~= '' then
      key = key + 1
      local other = call('HGET', KEYS[key], digest)
      if other and block == '' then
        return {'DUPLICATE', other}
      end
    end
  end
  for _ = 1, set + clear + full do
    key = key + 1
    call('STRLEN', KEYS[key])
  end
  for _ = 1, add + remove + open + close + due + undue do
    key = key + 1
    call('ZCARD', KEYS[key])
  end
  arg = arg + 6
end
if states == 1 then
  key = key + 1
  if call('GETRANGE', KEYS[key], '8', '15') ~= ARGV[arg + 1] then
    return {'STATE', call('GET', KEYS[key]) or ''}
  end
end
if key + dictionaries ~= #KEYS then
  return refuse('the keys do not fit the arguments')
end
for _ = 1, dictionaries do
  key = key + 1
  call('SCARD', KEYS[key])
end

local journal_end = (journal + 1) * 16384
if (chunk > 0 and (next_ordinal < (chunk - 1) * 65536 or next_ordinal >= chunk * 65536))
    or entries < journal_end - 16384 or entries >= journal_end then
  return {'CHUNK', counters or pack('>I8I8I8', 0, 0, 0)}
end

local time = call('TIME')
local stamp = time[1] * 1000000 + time[2]
if stamp <= last_stamp then
  stamp = last_stamp + 1
end

-- The feed goes first: nothing else can be refused for a reason of its own. A long one is trimmed
-- in whole nodes of the stream, which is cheaper.
local trim = long == 1 and '~' or '='
arg = 3
for _ = 1, records do
  local event = ARGV[arg + 3]
  if event ~= '' then
    call('XADD', KEYS[3], 'MAXLEN', trim, ARGV[2], '*', 'e', event)
  end
  arg = arg + 6
end
if states == 1 and ARGV[arg + 3] ~= '' then
  call('XADD', KEYS[3], 'MAXLEN', trim, ARGV[2], '*', 'e', ARGV[arg + 3])
end

local now = stamp
key, arg = first_key, 3
for _ = 1, records do
  key = key + 1
  local block, frame, digest = ARGV[arg + 1], ARGV[arg + 2], ARGV[arg + 6]
  local first, decisions, set, clear, full, add, remove, open, close, due, undue, id, ordinal,
    in_inbox, in_due, bit, text = unpack(RECORD, ARGV[arg + 4])
  if block == '' then
    ordinal = next_ordinal
    next_ordinal = next_ordinal + 1
    local slot = ordinal % 65536
    local place = pack('>I8I8', ordinal, now)
    bit, text = string.format('%.0f', slot), string.format('%.0f', ordinal)
    in_inbox = id .. string.sub(place, 10) .. string.sub(place, 4, 8)
    in_due = string.sub(place, 1, 8) .. id
    call('SET', KEYS[key], frame)
    call('SETRANGE', KEYS[key], '16', place)
    key = key + 1
    if slot == 0 and ordinal > 0 then
      -- A partition that has filled a chunk will fill the next: no growing by and by.
      call('SETRANGE', KEYS[key], '1572863', '\0')
    end
    call('SETRANGE', KEYS[key], slot * 24, id .. string.sub(place, 9))
    if digest ~= '' then
      key = key + 1
      call('HSET', KEYS[key], digest, id)
    end
  elseif frame == '' then
    call('DEL', KEYS[key])
    key = key + 1
    call('SETRANGE', KEYS[key], (ordinal % 65536) * 24, string.rep('\0', 24))
    if digest ~= '' then
      key = key + 1
      if call('HGET', KEYS[key], digest) == id then
        call('HDEL', KEYS[key], digest)
      end
    end
  elseif frame ~= '=' then
    call('SET', KEYS[key], frame)
  end

  if decisions > 0 then
    local entry = pack('>I7I5I2I2', now, ordinal, first, decisions)
    if entries < journal_end then
      call('APPEND', KEYS[4], entry)
    else
      call('APPEND', KEYS[5], entry)
    end
    entries = entries + 1
  end

  for _ = 1, set do
    key = key + 1
    call('SETBIT', KEYS[key], bit, '1')
  end
  for _ = 1, clear do
    key = key + 1
    call('SETBIT', KEYS[key], bit, '0')
  end
  for _ = 1, full do
    key = key + 1
    call('SETBIT', KEYS[key], bit, '0')
    if call('BITPOS', KEYS[key], '1') == -1 then
      call('DEL', KEYS[key])
    end
  end
  for _ = 1, add do
    key = key + 1
    call('ZADD', KEYS[key], text, text)
  end
  for _ = 1, remove do
    key = key + 1
    call('ZREM', KEYS[key], text)
  end
  for _ = 1, open do
    key = key + 1
    call('ZADD', KEYS[key], text, in_inbox)
  end
  for _ = 1, close do
    key = key + 1
    call('ZREM', KEYS[key], in_inbox)
  end
  for _ = 1, due do
    key = key + 1
    call('ZADD', KEYS[key], ARGV[arg + 5], in_due)
  end
  for _ = 1, undue do
    key = key + 1
    call('ZREM', KEYS[key], in_due)
  end
  now = now + 1
  arg = arg + 6
end
if states == 1 then
  key = key + 1
  if ARGV[arg + 2] ~= '=' then
    call('SET', KEYS[key], ARGV[arg + 2])
  end
  arg = arg + 3
end
for _ = 1, dictionaries do
  key = key + 1
  for name = arg + 1, #ARGV do
    call('SADD', KEYS[key], ARGV[name])
  end
end
counters = pack('>I8I8I8', next_ordinal, math.max(now - 1, stamp), entries)
call('SET', KEYS[2], counters)

return {'OK', counters}
