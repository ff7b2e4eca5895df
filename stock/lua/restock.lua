-- restock: gives back the units of an order that SQL cancelled, or that was lost with an earlier Redis, once.
--
-- KEYS  epoch_key    string, the number of the open epoch
--       journal      stream of the epoch
--       stock        hash of the epoch, SKU -> units left
--       rolled_back  string, set once the stock was given back
--       bought       see unpaid.lua
-- ARGV  epoch (read before the caller read in SQL whether the units are back), order_id, units ("SKU:UNITS,..."), reason, now_ms,
--       rolled_back_ttl_s, replid (as for reserve)
-- Returns {"OK", epoch, entry id}   given back, now or before in this life of the Redis data
--         {"EPOCH"}                 the epoch is not the open one: nothing was done; read SQL again
-- Idempotent until the TTL of rolled_back. After that, and in the next epoch, SQL's record of the cancellation is: the flusher
-- applies the entry once, and the caller reads it first.
local epoch_key, journal, stock, rolled_back, bought = unpack(KEYS)
local epoch, order_id, units, reason, now_ms, rolled_back_ttl_s, replid = unpack(ARGV)

if not open_epoch(redis.call('GET', epoch_key), epoch, replid) then return { 'EPOCH' } end
local done = redis.call('GET', rolled_back)
if done then return { 'OK', epoch, done } end

for sku, n in string.gmatch(units, '([^:,]+):([^,]+)') do
  -- A counter that is missing is loaded later from SQL and this entry: it must not be born here.
  if redis.call('HEXISTS', stock, sku) == 1 then redis.call('HINCRBY', stock, sku, n) end
end
bought_return(bought, order_id, units)
local id = redis.call('XADD', journal, '*', 'kind', 'B', 'order', order_id, 'deltas', units, 'time', now_ms, 'detail', reason)
redis.call('SET', rolled_back, id, 'EX', rolled_back_ttl_s)
return { 'OK', epoch, id }
