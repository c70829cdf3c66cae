#!lua
-- event.append 1
--
-- Appends an event to the log of a topic. Those who listen are waiting on the log itself.
--
-- KEYS  log
-- ARGV  1 message, 2 how many events to keep, 3 for how many ms
-- Reply id of the event

local keep, life = tonumber(ARGV[2]), tonumber(ARGV[3])
if not (keep and keep >= 1 and life and life >= 1) then
  return redis.error_reply('ERR event.append: at least one event is kept for at least 1 ms')
end
local id = redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[2], '*', 'm', ARGV[1])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return id
