#!lua
-- rate_limit.charge 1
--
-- Takes a cost under all rules or under none. What is denied is not stored.
--
-- KEYS  the counter of every rule
-- ARGV  1 cost, then for every rule: algorithm (g, s or f), for g microseconds from one to the next
--       and the burst, for s and f microseconds of the window and the most in it
-- Reply for every rule: verdict (0 allowed, 1 denied, 2 never), remaining, microseconds until it can
--       be had, microseconds until everything can be had
--
-- A counter of g is the microsecond the next would be due at if all came evenly; that of s and f a
-- hash: w number of the window, c had in it, p had in the one before. Products are compared, not
-- quotients, and stay below 2^53.

local call, format = redis.call, string.format
local cost = tonumber(ARGV[1])
if not (cost and cost >= 0 and cost % 1 == 0) then
  return redis.error_reply('ERR invalid cost')
end

local time = call('TIME')
local now = time[1] * 1000000 + time[2]
local reply, state, passes = {}, {}, true

-- a and b are whole, a is not negative.
local function quotient(a, b)
  return (a - a % b) / b
end

for i = 1, #KEYS do
  local kind, unit, most = ARGV[i * 3 - 1], tonumber(ARGV[i * 3]), tonumber(ARGV[i * 3 + 1])
  if not (unit and unit >= 1 and unit % 1 == 0 and most and most >= 1 and most % 1 == 0) then
    return redis.error_reply('ERR invalid limit')
  end
  local verdict, retry, room, reset = 0, 0, 0, 0
  if cost > most then
    verdict = 2
  end
  if kind == 'g' then
    local due = tonumber(call('GET', KEYS[i]) or 0) or 0
    if due < now then
      due = now
    end
    room = now + most * unit - due
    if verdict == 0 and cost * unit > room then
      verdict, retry = 1, cost * unit - room
    end
    reset = due - now
    state[i] = {unit, most, due}
  else
    local index, elapsed = quotient(now, unit), now % unit
    local stored = call('HMGET', KEYS[i], 'w', 'c', 'p')
    local known, count, before = tonumber(stored[1] or -2), tonumber(stored[2] or 0), tonumber(stored[3] or 0)
    if known == index - 1 then
      before, count = count, 0
    elseif known ~= index then
      before, count = 0, 0
    end
    local slides = kind == 's'
    if not slides then
      before = 0
    end
    local left = unit - elapsed
    local used = before * left + count * unit
    room = most * unit - used
    if verdict == 0 and cost * unit > room then
      verdict = 1
      if count + cost <= most then
        local into = math.max(unit - quotient((most - cost - count) * unit, math.max(before, 1)), 0)
        retry = math.min(math.max(into - elapsed, 0), left)
      elseif slides then
        retry = left + math.max(unit - quotient((most - cost) * unit, math.max(count, 1)), 0)
      else
        retry = left
      end
    end
    state[i] = {unit, most, index, count, before, left}
    reset = (count == 0 and before == 0) and 0 or ((count > 0 and slides) and left + unit or left)
  end
  local at = i * 4
  reply[at - 3], reply[at - 2], reply[at - 1], reply[at] = verdict, quotient(math.max(room, 0), unit), retry, reset
  passes = passes and verdict == 0
end
if not passes or cost == 0 then
  return reply
end

for i = 1, #KEYS do
  local kind, known = ARGV[i * 3 - 1], state[i]
  local unit, most = known[1], known[2]
  local room, reset
  if kind == 'g' then
    local due = known[3] + cost * unit
    room, reset = now + most * unit - due, due - now
    call('SET', KEYS[i], format('%.0f', due), 'PX', format('%.0f', math.ceil(reset / 1000)))
  else
    local index, count, before, left = known[3], known[4] + cost, known[5], known[6]
    room, reset = most * unit - before * left - count * unit, kind == 's' and left + unit or left
    call('HSET', KEYS[i], 'w', format('%.0f', index), 'c', format('%.0f', count), 'p', format('%.0f', before))
    call('PEXPIRE', KEYS[i], format('%.0f', math.ceil(reset / 1000)))
  end
  local at = i * 4
  reply[at - 2], reply[at] = quotient(math.max(room, 0), unit), reset
end
return reply
