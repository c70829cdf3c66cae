#!lua
-- cache.abandon 1
--
-- Gives a lease back without a value.
--
-- KEYS  lease
-- ARGV  1 token
-- Reply 1 if it was the caller's, else 0

if redis.call('GET', KEYS[1]) == ARGV[1] then
  return redis.call('DEL', KEYS[1])
end
return 0
