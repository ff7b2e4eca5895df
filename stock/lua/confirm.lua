-- confirm: notes that an order of an earlier epoch was compared with SQL, and that SQL was further if it was.
--
-- KEYS  epoch_key   string, the number of the open epoch
--       record      hash of the order
-- ARGV  epoch, state (what SQL holds, if that is further than the record; else empty), reason, time_ms
-- Returns {"OK"}        settle and release may proceed in this epoch
--         {"EPOCH"}     the epoch is not the open one: nothing was done
--         {"MISSING"}   there is no such order in Redis
-- Idempotent. It writes no journal entry: SQL has what it says.
local epoch_key, record = unpack(KEYS)
local epoch, state, reason, time_ms = unpack(ARGV)

if redis.call('GET', epoch_key) ~= epoch then return { 'EPOCH' } end
local held, entry_epoch, confirmed = unpack(redis.call('HMGET', record, 'state', 'epoch', 'confirmed'))
if not entry_epoch then return { 'MISSING' } end
if entry_epoch == epoch or confirmed == epoch then return { 'OK' } end
if state ~= '' and held ~= '2' then
  -- The place before all entries of this epoch: SQL holds the state already.
  redis.call('HSET', record, 'state', state, 'time', time_ms, 'entry', '0-0', 'epoch', epoch, 'reason', reason)
end
redis.call('HSET', record, 'confirmed', epoch)
return { 'OK' }
