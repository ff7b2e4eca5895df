-- relay_again: makes the relay receive all entries of the journal again, because SQL lost commits.
--
-- KEYS  journal   stream of the epoch
--       sent      string, the highest id that was acknowledged
-- ARGV  group, the offset that SQL has now
-- Returns 1, or 0 if SQL is not behind what was sent: nothing was done. Idempotent.
local journal, sent = unpack(KEYS)
local group, offset = ARGV[1], ARGV[2]

if not less(offset, redis.call('GET', sent) or '0-0') then return 0 end
-- From the beginning, not from the offset: the rows of earlier entries were committed later than these.
redis.call('XGROUP', 'SETID', journal, group, '0')
redis.call('SET', sent, offset)
return 1
