-- trim: removes the journal's entries below an id that every reader is done with.
--
-- KEYS  journal   stream of the epoch
--       trimmed   string, the id below which entries were trimmed away
-- ARGV  min_id    entries with lower ids go
-- Returns the number of entries removed. Idempotent. By `trimmed` load recognizes an offset that is too old.
local journal, trimmed = unpack(KEYS)
local min_id = ARGV[1]
local removed = redis.call('XTRIM', journal, 'MINID', min_id)
if removed > 0 then redis.call('SET', trimmed, min_id) end
return removed
