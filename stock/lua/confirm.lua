-- confirm: records that a hot order of an earlier epoch was compared with SQL, and brings it to SQL's state if that is further.
--
-- KEYS  epoch_key   string, the number of the open epoch
--       hot_order   hash of the order
--       unpaid, unpaid_notes, unpaid_counts: see unpaid.lua
-- ARGV  epoch, state (what SQL holds, if that is further than the hot order; else empty), reason, time_ms, order_id
-- Returns {"OK"}        settle and release may proceed in this epoch
--         {"EPOCH"}     the epoch is not the open one: nothing was done
--         {"MISSING"}   there is no such order in Redis
-- Idempotent. It appends no journal entry: SQL has the state already. An order that is not PENDING any more does not count as unpaid.
local epoch_key, hot_order, unpaid, unpaid_notes, unpaid_counts = unpack(KEYS)
local epoch, state, reason, time_ms, order_id = unpack(ARGV)

if redis.call('GET', epoch_key) ~= epoch then return { 'EPOCH' } end
local held, entry_epoch, confirmed = unpack(redis.call('HMGET', hot_order, 'state', 'epoch', 'confirmed'))
if not entry_epoch then return { 'MISSING' } end
if entry_epoch == epoch or confirmed == epoch then return { 'OK' } end
if state ~= '' and held ~= '2' then
  -- The offset before all entries of this epoch: SQL holds the state already.
  redis.call('HSET', hot_order, 'state', state, 'time', time_ms, 'entry', '0-0', 'epoch', epoch, 'reason', reason)
  unpaid_remove(unpaid, unpaid_notes, unpaid_counts, order_id)
end
redis.call('HSET', hot_order, 'confirmed', epoch)
return { 'OK' }
