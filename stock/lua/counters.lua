-- counters: reads the counters of an epoch and where its journal ends, at one moment.
--
-- KEYS  epoch_key   string, the number of the open epoch
--       journal     stream of the epoch
--       stock       hash of the epoch, SKU -> units left
-- Returns {epoch, last_id, then pairs: sku, units}; epoch is empty when there is none, last_id when the journal has no entry (any more).
-- Reads only.
local epoch_key, journal, stock = unpack(KEYS)

local last = redis.call('XREVRANGE', journal, '+', '-', 'COUNT', 1)[1]
local out = { redis.call('GET', epoch_key) or '', last and last[1] or '' }
for _, field in ipairs(redis.call('HGETALL', stock)) do out[#out + 1] = field end
return out
