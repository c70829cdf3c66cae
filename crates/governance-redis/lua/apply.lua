#!lua
-- governance.apply 1
--
-- The only writer: stores, changes or removes requests and a state, with everything they are found
-- by, in one step. Checks everything, then writes; no domain logic; no key is built in here.
--
-- KEYS  fence, counters, feed, journal chunk, journal chunk after it;
--       for every record: frame; id table (create, remove); bucket of the idempotency key (create,
--       remove); then its index keys in the order of COUNTS;
--       state record (if there is one).
-- ARGV  1 fence, 2 length of the feed, 3 chunk of the ordinal (create) or '', 4 journal chunk,
--       5 records (0..4), 6 states (0 or 1), 7 to 9 counters as they are known: ordinals, last
--       stamp, journal entries;
--       for every record 17: first 72 bytes that are stored ('' for a create), frame ('' to remove, '=' to keep what is there), event
--       ('' for none), id, first decision, decisions, deadline, digest of the idempotency key or '',
--       COUNTS: bits to set, bits to clear, bits to clear in chunks that are full, ordinal sets to
--       add to and to remove from, inboxes to add to and to remove from, due sets to add to and to
--       remove from;
--       for the state 3: version that is stored (8 bytes, or '' for none), record ('=' to keep what is there), event
--       ('' for none);
--       then the names for the dictionaries: number of dictionaries, which are the last keys, and
--       the names.
-- Reply OK, ordinal, stamp, journal entries | CONFLICT, record from 0, stored frame |
--       DUPLICATE, request id | STATE, stored record | CHUNK, ordinals, last
--       stamp, journal entries | FENCED, stored fence | REGRESSED

local call = redis.call

local fence = call('GET', KEYS[1]) or ''
if fence ~= ARGV[1] then
  return {'FENCED', fence}
end

local records, states = tonumber(ARGV[5]), tonumber(ARGV[6])
local creates = ARGV[3] ~= ''

local next_ordinal, last_stamp, entries = 0, 0, 0
local counters = call('GET', KEYS[2])
if counters then
  next_ordinal, last_stamp, entries = struct.unpack('>I8I8I8', counters)
end
-- Counters only rise: a server that has lower ones than it told of has lost writes.
if next_ordinal < tonumber(ARGV[7]) or last_stamp < tonumber(ARGV[8])
    or entries < tonumber(ARGV[9]) then
  return {'REGRESSED'}
end

-- Everything is checked before anything is written.
local key, arg = 5, 9
local at = {}
for i = 1, records do
  at[i] = {key, arg}
  local block = ARGV[arg + 1]
  if call('GETRANGE', KEYS[key + 1], 0, 71) ~= block then
    return {'CONFLICT', tostring(i - 1), call('GET', KEYS[key + 1]) or ''}
  end
  local listed = block == '' or ARGV[arg + 2] == ''
  key = key + 1
  if listed then
    key = key + 1
    if ARGV[arg + 8] ~= '' then
      key = key + 1
      if block == '' then
        local known = call('HGET', KEYS[key], ARGV[arg + 8])
        if known then
          return {'DUPLICATE', known}
        end
      end
    end
  end
  for count = 9, 17 do
    key = key + tonumber(ARGV[arg + count])
  end
  arg = arg + 17
end
if states == 1 then
  key = key + 1
  if call('GETRANGE', KEYS[key], 8, 15) ~= ARGV[arg + 1] then
    return {'STATE', call('GET', KEYS[key]) or ''}
  end
  arg = arg + 3
end
local dictionaries = tonumber(ARGV[arg + 1])
if key + dictionaries ~= #KEYS then
  return redis.error_reply('ERR governance.apply: the keys do not fit the arguments')
end

local journal = tonumber(ARGV[4])
if (creates and math.floor(next_ordinal / 65536) ~= tonumber(ARGV[3]))
    or math.floor(entries / 16384) ~= journal then
  return {'CHUNK', string.format('%.0f', next_ordinal), string.format('%.0f', last_stamp),
    string.format('%.0f', entries)}
end

local time = call('TIME')
local stamp = time[1] * 1000000 + time[2]
if stamp <= last_stamp then
  stamp = last_stamp + 1
end

-- The feed goes first: nothing else can be refused for a reason of its own. A long one is trimmed
-- in whole nodes of the stream, which is cheaper.
local trim = tonumber(ARGV[2]) > 1000 and '~' or '='
for i = 1, records do
  local event = ARGV[at[i][2] + 3]
  if event ~= '' then
    call('XADD', KEYS[3], 'MAXLEN', trim, ARGV[2], '*', 'e', event)
  end
end
if states == 1 and ARGV[arg] ~= '' then
  call('XADD', KEYS[3], 'MAXLEN', trim, ARGV[2], '*', 'e', ARGV[arg])
end

local created = next_ordinal
local now = stamp
for i = 1, records do
  key, arg = at[i][1] + 1, at[i][2]
  local block, frame, id, digest = ARGV[arg + 1], ARGV[arg + 2], ARGV[arg + 4], ARGV[arg + 8]
  local ordinal, ordinal_bytes, stamp_bytes
  if block == '' then
    ordinal = next_ordinal
    next_ordinal = next_ordinal + 1
    ordinal_bytes = struct.pack('>I8', ordinal)
    stamp_bytes = struct.pack('>I8', now)
    call('SET', KEYS[key], frame)
    call('SETRANGE', KEYS[key], 16, ordinal_bytes .. stamp_bytes)
    key = key + 1
    local slot = ordinal % 65536
    if slot == 0 and ordinal > 0 then
      -- A partition that has filled a chunk will fill the next: no growing by and by.
      call('SETRANGE', KEYS[key], 1572863, '\0')
    end
    call('SETRANGE', KEYS[key], slot * 24, id .. stamp_bytes)
    if digest ~= '' then
      key = key + 1
      call('HSET', KEYS[key], digest, id)
    end
  else
    ordinal_bytes, stamp_bytes = string.sub(block, 17, 24), string.sub(block, 25, 32)
    ordinal = struct.unpack('>I8', ordinal_bytes)
    if frame == '' then
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
  end

  local decisions = tonumber(ARGV[arg + 6])
  if decisions > 0 then
    local entry = struct.pack('>I7I5I2I2', now, ordinal, tonumber(ARGV[arg + 5]), decisions)
    if math.floor(entries / 16384) == journal then
      call('APPEND', KEYS[4], entry)
    else
      call('APPEND', KEYS[5], entry)
    end
    entries = entries + 1
  end

  local bit = ordinal % 65536
  for _ = 1, tonumber(ARGV[arg + 9]) do
    key = key + 1
    call('SETBIT', KEYS[key], bit, 1)
  end
  for _ = 1, tonumber(ARGV[arg + 10]) do
    key = key + 1
    call('SETBIT', KEYS[key], bit, 0)
  end
  for _ = 1, tonumber(ARGV[arg + 11]) do
    key = key + 1
    call('SETBIT', KEYS[key], bit, 0)
    if call('BITPOS', KEYS[key], 1) == -1 then
      call('DEL', KEYS[key])
    end
  end
  local text = string.format('%.0f', ordinal)
  for _ = 1, tonumber(ARGV[arg + 12]) do
    key = key + 1
    call('ZADD', KEYS[key], text, text)
  end
  for _ = 1, tonumber(ARGV[arg + 13]) do
    key = key + 1
    call('ZREM', KEYS[key], text)
  end
  local member = id .. string.sub(stamp_bytes, 2) .. string.sub(ordinal_bytes, 4)
  for _ = 1, tonumber(ARGV[arg + 14]) do
    key = key + 1
    call('ZADD', KEYS[key], text, member)
  end
  for _ = 1, tonumber(ARGV[arg + 15]) do
    key = key + 1
    call('ZREM', KEYS[key], member)
  end
  member = ordinal_bytes .. id
  for _ = 1, tonumber(ARGV[arg + 16]) do
    key = key + 1
    call('ZADD', KEYS[key], ARGV[arg + 7], member)
  end
  for _ = 1, tonumber(ARGV[arg + 17]) do
    key = key + 1
    call('ZREM', KEYS[key], member)
  end
  now = now + 1
  arg = arg + 17
end
if records == 0 then
  arg, key = 9, 5
end
if states == 1 then
  key = key + 1
  if ARGV[arg + 2] ~= '=' then
    call('SET', KEYS[key], ARGV[arg + 2])
  end
  arg = arg + 3
end
local names = #ARGV - arg - 1
if names > 0 then
  for _ = 1, dictionaries do
    key = key + 1
    for name = arg + 2, #ARGV do
      call('SADD', KEYS[key], ARGV[name])
    end
  end
end
call('SET', KEYS[2], struct.pack('>I8I8I8', next_ordinal, math.max(now - 1, stamp), entries))

return {'OK', string.format('%.0f', created), string.format('%.0f', stamp),
  string.format('%.0f', entries)}
