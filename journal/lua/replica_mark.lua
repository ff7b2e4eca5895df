-- replica_mark: writes, so that a WAIT behind it on the same connection covers all that was written to Redis before.
--
-- KEYS  epoch_key   string, the number of the open epoch
--       replicated  string, written only
-- ARGV  epoch, replid (of the Redis history of the epoch)
-- Returns 1 if the epoch is open on this history, else 0. Idempotent.
local epoch_key, replicated = unpack(KEYS)
local epoch, replid = unpack(ARGV)
if not open_epoch(redis.call('GET', epoch_key), epoch, replid) then return 0 end
redis.call('SET', replicated, epoch)
return 1
