-- settle: an order that was charged becomes PAID.
--
-- KEYS  epoch_key   string, the number of the open epoch
--       journal     stream of the epoch
--       hot_order   hash of the order
--       unpaid, unpaid_notes, unpaid_counts: see unpaid.lua
-- ARGV  epoch, order_id, charge_id, now_ms, traceparent, replid (as for reserve)
-- Returns {"OK", epoch, entry id}    PAID, now or before
--         {"EPOCH"}                  the epoch is not the open one: nothing was done
--         {"MISSING"}                there is no such order in Redis
--         {"CANCELLED"}              the stock was given back before: the charge must be refunded
--         {"UNCONFIRMED"}            the hot order is from an earlier epoch: compare it with SQL, confirm, and call again
-- Idempotent.
local epoch_key, journal, hot_order, unpaid, unpaid_notes, unpaid_counts = unpack(KEYS)
local epoch, order_id, charge_id, now_ms, traceparent, replid = unpack(ARGV)

if not open_epoch(redis.call('GET', epoch_key), epoch, replid) then return { 'EPOCH' } end
local state, entry, entry_epoch, confirmed = unpack(redis.call('HMGET', hot_order, 'state', 'entry', 'epoch', 'confirmed'))
if not state then return { 'MISSING' } end
if entry_epoch ~= epoch and confirmed ~= epoch then return { 'UNCONFIRMED' } end
unpaid_remove(unpaid, unpaid_notes, unpaid_counts, order_id)
if state == '1' then return { 'OK', entry_epoch, entry } end
if state ~= '0' then return { 'CANCELLED' } end

-- The entry carries only what changed. Its readers take the order from the entry of the reservation, or from the hot order, which has no TTL
-- before SQL holds it as PAID.
local id = redis.call('XADD', journal, '*', 'kind', 'S', 'order', order_id, 'time', now_ms,
  'detail', charge_id, 'trace', traceparent)
-- A PENDING hot order has no TTL: expire.lua sets none, and rewind.lua removes it.
redis.call('HSET', hot_order, 'state', '1', 'time', now_ms, 'entry', id, 'settled', id, 'epoch', epoch)
return { 'OK', epoch, id }
