-- epoch_open: opens the epoch that SQL just recorded. Counters are loaded when they are first needed.
--
-- KEYS  epoch_key    string, "rebuild:TOKEN:SECONDS" of the caller
--       journals     sorted set of the epochs with a journal that is not relayed to its end
--       old_stock    hash of the closed epoch's counters: removed
-- ARGV  epoch, token
-- Returns {"OK"}     open
--         {"LOST"}   another process took over, or the data is gone again: check again
-- Idempotent for the holder of the token.
local epoch_key, journals, old_stock = unpack(KEYS)
local epoch, token = unpack(ARGV)

local current = redis.call('GET', epoch_key)
if not current then return { 'LOST' } end
if current ~= epoch and string.match(current, '^rebuild:(%w+):') ~= token then return { 'LOST' } end
redis.call('SET', epoch_key, epoch)
redis.call('ZADD', journals, epoch, epoch)
redis.call('DEL', old_stock)
return { 'OK' }
