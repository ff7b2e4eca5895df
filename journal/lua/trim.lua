-- trim: removes the journal's entries below an id that every reader is done with.
--
-- KEYS  journal   stream of the epoch
--       trimmed   string, the id of the last entry that was trimmed away
-- ARGV  min_id    entries with lower ids go
-- Returns the number of entries removed. Idempotent. By `trimmed` load recognizes an offset that is too old.
local journal, trimmed = unpack(KEYS)
local min_id = ARGV[1]
-- Not min_id: it may be an entry that one relay has read and that is not flushed yet, and a flusher before it has lost nothing.
local last = redis.call('XREVRANGE', journal, '(' .. min_id, '-', 'COUNT', 1)[1]
if not last then return 0 end
-- First, because Redis permits it without memory, and then what follows it in the script.
local removed = redis.call('XTRIM', journal, 'MINID', min_id)
redis.call('SET', trimmed, last[1])
return removed
