-- relay_again: makes the relay receive all entries of the journal again, because SQL lost commits.
--
-- KEYS  journal   stream of the epoch
--       sent      string, the highest id that was acknowledged
--       again     string, the highest id that had been acknowledged before this
-- ARGV  group, the offset that SQL has now
-- Returns 1, or 0 if SQL is not behind what was sent: nothing was done. Idempotent.
local journal, sent, again = unpack(KEYS)
local group, offset = ARGV[1], ARGV[2]

local highest = redis.call('GET', sent) or '0-0'
if not less(offset, highest) then return 0 end
-- From the beginning, not from the offset: the rows of earlier entries were committed later than these.
redis.call('XGROUP', 'SETID', journal, group, '0')
redis.call('SET', sent, offset)
if less(redis.call('GET', again) or '0-0', highest) then redis.call('SET', again, highest) end
return 1
