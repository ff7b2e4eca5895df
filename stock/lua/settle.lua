-- settle: an order that was charged becomes PAID; several orders, one after the other.
--
-- KEYS  epoch_key   string, the number of the open epoch
--       journal     stream of the epoch
--       unpaid, unpaid_notes, unpaid_counts: see unpaid.lua
--       then of each order:
--       hot_order   hash of the order
-- ARGV  epoch, replid (as for reserve), now_ms
--       then of each order:
--       order_id, charge_id, traceparent
-- Returns {"EPOCH"}: the epoch is not the open one, and nothing was done. Otherwise one of these for each order:
--         {"OK", epoch, entry id}    PAID, now or before
--         {"MISSING"}                there is no such order in Redis
--         {"CANCELLED"}              the stock was given back before: the charge must be refunded
--         {"UNCONFIRMED"}            the hot order is from an earlier epoch: compare it with SQL, confirm, and call again
-- Idempotent.
local keys_before, args_before, args_each = 5, 3, 3
local epoch_key, journal, unpaid, unpaid_notes, unpaid_counts = unpack(KEYS, 1, keys_before)
local epoch, replid, now_ms = unpack(ARGV, 1, args_before)

if not open_epoch(redis.call('GET', epoch_key), epoch, replid) then return { 'EPOCH' } end
local some_unpaid = redis.call('EXISTS', unpaid) == 1


local replies = {}
for o = 1, #KEYS - keys_before do
  local hot_order, a = KEYS[keys_before + o], args_before + (o - 1) * args_each
  local order_id, charge_id, traceparent = ARGV[a + 1], ARGV[a + 2], ARGV[a + 3]
  local state, entry, entry_epoch, confirmed = unpack(redis.call('HMGET', hot_order, 'state', 'entry', 'epoch', 'confirmed'))
  local reply, id
  if not state then
    reply = { 'MISSING' }
  elseif entry_epoch ~= epoch and confirmed ~= epoch then
    reply = { 'UNCONFIRMED' }
  else
    if some_unpaid then unpaid_remove(unpaid, unpaid_notes, unpaid_counts, order_id) end
    if state == '1' then
      reply = { 'OK', entry_epoch, entry }
    elseif state ~= '0' then
      reply = { 'CANCELLED' }
    end
  end

  if not reply then
    -- The entry carries only what changed. Its readers take the order from the entry of the reservation, or from the hot order, which has
    -- no TTL before SQL holds it as PAID.
    if traceparent == '' then
      id = redis.call('XADD', journal, '*', 'kind', 'S', 'order', order_id, 'time', now_ms, 'detail', charge_id)
    else
      id = redis.call('XADD', journal, '*', 'kind', 'S', 'order', order_id, 'time', now_ms, 'detail', charge_id, 'trace', traceparent)
    end
    -- A PENDING hot order has no TTL: expire.lua sets none, and rewind.lua removes it.
    redis.call('HSET', hot_order, 'state', '1', 'time', now_ms, 'entry', id, 'settled', id)
    if entry_epoch ~= epoch then redis.call('HSET', hot_order, 'epoch', epoch) end
    reply = { 'OK', epoch, id }
  end
  replies[o] = reply
end
return replies
