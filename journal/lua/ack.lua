-- ack: acknowledges entries that the relay has sent.
--
-- KEYS  journal   stream of the epoch
--       sent      string, the highest id that was acknowledged
-- ARGV  group, the highest of the ids, then the ids
-- Returns the number of entries that were pending. Idempotent. By `sent` an offset of SQL is recognized that was further before: the relay
-- sends nothing beyond it.
local journal, sent = unpack(KEYS)
local group, highest = ARGV[1], ARGV[2]
local first_id = 3

-- First, because Redis permits it without memory, and then what follows it in the script.
local pending = redis.call('XACK', journal, group, unpack(ARGV, first_id))
if less(redis.call('GET', sent) or '0-0', highest) then redis.call('SET', sent, highest) end
return pending
