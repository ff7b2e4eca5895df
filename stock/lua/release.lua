-- release: gives the stock of an order back, once, and cancels it.
--
-- KEYS  epoch_key    string, the number of the open epoch
--       journal      stream of the epoch
--       stock        hash of the epoch, SKU -> units left
--       hot_order    hash of the order
--       rolled_back  string, set once the stock was given back
--       unpaid, unpaid_notes, unpaid_counts: see unpaid.lua
-- ARGV  epoch, order_id, reason, now_ms, rolled_back_ttl_s, also_paid ("1": release it though it is PAID, because
--       SQL did not apply it), traceparent, replid (as for reserve)
-- Returns {"OK", epoch, entry id}    given back, now or before
--         {"EPOCH"}                  the epoch is not the open one: nothing was done
--         {"MISSING"}                there is no such order in Redis: it was never reserved, or it expired after it reached SQL
--         {"PAID"}                   it was charged: nothing was done
--         {"UNCONFIRMED"}            the hot order is from an earlier epoch: compare it with SQL, confirm, and call again
-- Idempotent: the hot order's state and rolled_back let it happen once.
local epoch_key, journal, stock, hot_order, rolled_back, unpaid, unpaid_notes, unpaid_counts = unpack(KEYS)
local epoch, order_id, reason, now_ms, rolled_back_ttl_s, also_paid, traceparent, replid = unpack(ARGV)

if not open_epoch(redis.call('GET', epoch_key), epoch, replid) then return { 'EPOCH' } end
local state, snapshot, reserved, entry, entry_epoch, confirmed =
  unpack(redis.call('HMGET', hot_order, 'state', 'snapshot', 'deltas', 'entry', 'epoch', 'confirmed'))
if not state then return { 'MISSING' } end
if entry_epoch ~= epoch and confirmed ~= epoch then return { 'UNCONFIRMED' } end
unpaid_remove(unpaid, unpaid_notes, unpaid_counts, order_id)
if state == '2' or redis.call('EXISTS', rolled_back) == 1 then return { 'OK', entry_epoch, entry } end
if state == '1' and also_paid ~= '1' then return { 'PAID' } end

local back = {}
for sku, delta in string.gmatch(reserved, '([^:,]+):([^,]+)') do
  local units = string.format('%d', -tonumber(delta))
  -- A counter that is missing is loaded later from SQL and this entry: it must not be born here.
  if redis.call('HEXISTS', stock, sku) == 1 then redis.call('HINCRBY', stock, sku, units) end
  back[#back + 1] = sku .. ':' .. units
end
local bought = redis.call('HGET', hot_order, 'bought')
if bought then bought_return(bought, order_id, table.concat(back, ',')) end -- It has the hash tag of all keys.
local id = redis.call('XADD', journal, '*', 'kind', 'L', 'order', order_id, 'deltas', table.concat(back, ','),
  'time', now_ms, 'detail', reason, 'trace', traceparent, 'snapshot', snapshot)
redis.call('HSET', hot_order, 'state', '2', 'time', now_ms, 'entry', id, 'epoch', epoch, 'reason', reason)
redis.call('PERSIST', hot_order)
redis.call('SET', rolled_back, id, 'EX', rolled_back_ttl_s)
return { 'OK', epoch, id }
