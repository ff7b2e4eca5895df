-- adjust: an operator adds units to a SKU's counter, or takes unsold ones away.
--
-- KEYS  epoch_key   string, the number of the open epoch
--       journal     stream of the epoch
--       stock       hash of the epoch, SKU -> units left
--       adjusted    string, the record of the adjustment: entry id, SKU and delta
-- ARGV  epoch (read before the caller read in SQL that the adjustment was not made), adjustment_id, sku, delta, reason, actor, now_ms, idempotency_ttl_s, replid (as for reserve)
-- Returns {"OK", entry id, left}   adjusted, now or before
--         {"EPOCH"}                the epoch is not the open one: nothing was done; read SQL again
--         {"MISMATCH"}             the id was used before for another SKU or delta
--         {"LOAD", sku}            the SKU has no counter: load it and call again
--         {"SHORT", left}          fewer are left than would be taken
-- Idempotent by adjustment_id until the TTL of the key `adjusted`. After that, and in the next epoch, SQL's record of the adjustment is, and
-- the caller reads it first.
local epoch_key, journal, stock, adjusted = unpack(KEYS)
local epoch, adjustment_id, sku, delta, reason, actor, now_ms, idempotency_ttl_s, replid = unpack(ARGV)

if not open_epoch(redis.call('GET', epoch_key), epoch, replid) then return { 'EPOCH' } end
local what = sku .. ':' .. delta
local seen = redis.call('GET', adjusted)
if seen then
  local id, seen_what = string.match(seen, '^(%S+) (.*)$')
  if seen_what ~= what then return { 'MISMATCH' } end
  local left = redis.call('HGET', stock, sku)
  if not left then return { 'LOAD', sku } end
  return { 'OK', id, left }
end

local left = redis.call('HGET', stock, sku)
if not left then return { 'LOAD', sku } end
if tonumber(left) + tonumber(delta) < 0 then return { 'SHORT', left } end

left = redis.call('HINCRBY', stock, sku, delta)
local id = redis.call('XADD', journal, '*', 'kind', 'A', 'order', adjustment_id, 'deltas', what,
  'time', now_ms, 'detail', reason, 'actor', actor)
redis.call('SET', adjusted, id .. ' ' .. what, 'EX', idempotency_ttl_s)
return { 'OK', id, tostring(left) }
