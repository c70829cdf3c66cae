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

local call = redis.call
local cost = tonumber(ARGV[1])
if not (cost and cost >= 0 and cost % 1 == 0) then
  return redis.error_reply('ERR invalid cost')
end
for i = 2, #ARGV, 3 do
  local unit, most = tonumber(ARGV[i + 1]), tonumber(ARGV[i + 2])
  if not (unit and unit >= 1 and unit % 1 == 0 and most and most >= 1 and most % 1 == 0) then
    return redis.error_reply('ERR invalid limit')
  end
end

local time = call('TIME')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])
local reply, state, passes = {}, {}, true

local function quotient(a, b)
  return (a - math.fmod(a, b)) / b
end

for i = 1, #KEYS do
  local kind = ARGV[i * 3 - 1]
  local unit, most = tonumber(ARGV[i * 3]), tonumber(ARGV[i * 3 + 1])
  local at = (i - 1) * 4
  local verdict, retry = 0, 0
  if cost > most then
    verdict = 2
  end
  if kind == 'g' then
    local due = math.max(tonumber(call('GET', KEYS[i]) or 0) or 0, now)
    local window = most * unit
    if verdict == 0 then
      retry = math.max(due + cost * unit - now - window, 0)
      if retry > 0 then
        verdict = 1
      end
    end
    state[i] = due
    reply[at + 2] = quotient(math.max(now + window - due, 0), unit)
    reply[at + 4] = due - now
  else
    local index, elapsed = quotient(now, unit), math.fmod(now, unit)
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
    if verdict == 0 and used + cost * unit > most * unit then
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
    state[i] = {index, count, before, left}
    reply[at + 2] = quotient(math.max(most * unit - used, 0), unit)
    reply[at + 4] = (count == 0 and before == 0) and 0 or ((count > 0 and slides) and left + unit or left)
  end
  reply[at + 1] = verdict
  reply[at + 3] = retry
  passes = passes and verdict == 0
end
if not passes or cost == 0 then
  return reply
end

for i = 1, #KEYS do
  local kind = ARGV[i * 3 - 1]
  local unit, most = tonumber(ARGV[i * 3]), tonumber(ARGV[i * 3 + 1])
  local at = (i - 1) * 4
  if kind == 'g' then
    local due = state[i] + cost * unit
    call('SET', KEYS[i], string.format('%.0f', due), 'PX', string.format('%.0f', math.ceil((due - now) / 1000)))
    reply[at + 2] = quotient(math.max(now + most * unit - due, 0), unit)
    reply[at + 4] = due - now
  else
    local index, count, before, left = state[i][1], state[i][2] + cost, state[i][3], state[i][4]
    local life = kind == 's' and left + unit or left
    call('HSET', KEYS[i], 'w', string.format('%.0f', index), 'c', string.format('%.0f', count),
      'p', string.format('%.0f', before))
    call('PEXPIRE', KEYS[i], string.format('%.0f', math.ceil(life / 1000)))
    reply[at + 2] = quotient(math.max(most * unit - before * left - count * unit, 0), unit)
    reply[at + 4] = life
  end
end
return reply
