-- mark_unpaid: counts an order with an unknown payment as unpaid from now on.
--
-- KEYS  epoch_key  string, the number of the open epoch
--       hot_order  hash of the order
--       unpaid, unpaid_notes, unpaid_counts: see unpaid.lua
-- ARGV  epoch, order_id, now_ms, until_ms
-- Returns {"OK"}           counted, now or before; or it is no longer pending
--         {"EPOCH"}        the epoch is not the open one: nothing was done
--         {"UNCONFIRMED"}  the hot order is from an earlier epoch: compare it with SQL, confirm, and call again
-- Idempotent.
local epoch_key, hot_order, unpaid, unpaid_notes, unpaid_counts = unpack(KEYS)
local epoch, order_id, now_ms, until_ms = unpack(ARGV)

if redis.call('GET', epoch_key) ~= epoch then return { 'EPOCH' } end
unpaid_expire(unpaid, unpaid_notes, unpaid_counts, hot_order, order_id, epoch, now_ms, until_ms)
local state, deltas, customer, entry_epoch, confirmed =
  unpack(redis.call('HMGET', hot_order, 'state', 'deltas', 'customer', 'epoch', 'confirmed'))
if state ~= '0' or not customer then return { 'OK' } end
if entry_epoch ~= epoch and confirmed ~= epoch then return { 'UNCONFIRMED' } end
unpaid_add(unpaid, unpaid_notes, unpaid_counts, order_id, customer, (string.gsub(deltas, ':%-', ':')), until_ms)
return { 'OK' }
