#!lua flags=no-writes
-- governance.find 1
--
-- Looks up a field of a hash.
--
-- KEYS  fence, hash
-- ARGV  field
-- Reply fence, value (nil if there is none)

return {redis.call('GET', KEYS[1]), redis.call('HGET', KEYS[2], ARGV[1])}
