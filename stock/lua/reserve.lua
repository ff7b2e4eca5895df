-- reserve: takes the stock of all lines of one order, or of none, and remembers the order.
--
-- KEYS  epoch_key    string, the number of the open epoch
--       journal      stream of the epoch
--       stock        hash of the epoch, SKU -> units left
--       record       hash of the order
--       marker       string, the idempotency marker: order id, then fingerprint
--       rate         string, the customer's orders in the present window
-- ARGV  epoch, order_id, fingerprint, lines ("sku:quantity,..."), snapshot (opaque), now_ms, marker_ttl_s,
--       journal_max (entries), rate_max (orders a window, 0 = no limit), rate_window_s, quantity_max, traceparent,
--       replid (the replication id that the epoch was opened on; empty for the embedded Redis)
-- Returns {"OK", entry id}           reserved; sent again with the same order_id it answers the same
--         {"EPOCH"}                  the epoch is not the open one: nothing was done
--         {"REPLAY", order id}       the key was used before with this fingerprint
--         {"MISMATCH"}               the key was used before with another fingerprint
--         {"BUSY"}                   the journal is at its bound
--         {"LIMIT", seconds}         the customer is at their limit for that long
--         {"INVALID"}                a quantity is not 1..quantity_max
--         {"LOAD", sku, ...}         these SKUs have no counter: load them and call again
--         {"SOLD_OUT", sku, requested, left, ...}
-- Idempotent by order_id.
local epoch_key, journal, stock, record, marker, rate = unpack(KEYS)
local epoch, order_id, fingerprint, lines, snapshot, now_ms, marker_ttl_s,
  journal_max, rate_max, rate_window_s, quantity_max, traceparent, replid = unpack(ARGV)
local order_id_length = 26

if redis.call('GET', epoch_key) ~= epoch then return { 'EPOCH' } end
-- A Redis that was demoted, resynced from an older copy and promoted holds the same epoch key, over the same connection.
if replid ~= '' and not string.find(redis.call('INFO', 'replication'), 'master_replid:' .. replid, 1, true) then return { 'EPOCH' } end

local seen = redis.call('GET', marker)
if seen then
  local seen_id = string.sub(seen, 1, order_id_length)
  if seen_id == order_id then return { 'OK', redis.call('HGET', record, 'reserved') or '' } end
  if string.sub(seen, order_id_length + 1) ~= fingerprint then return { 'MISMATCH' } end
  return { 'REPLAY', seen_id }
end

if redis.call('XLEN', journal) >= tonumber(journal_max) then return { 'BUSY' } end
if tonumber(rate_max) > 0 and tonumber(redis.call('GET', rate) or '0') >= tonumber(rate_max) then
  return { 'LIMIT', tostring(redis.call('TTL', rate)) }
end

-- Two lines of one SKU are one demand, so that both are checked before either is taken.
local want, skus = {}, {}
for sku, quantity in string.gmatch(lines, '([^:,]+):([^,]+)') do
  local n = tonumber(quantity)
  if not n or n < 1 or n ~= math.floor(n) then return { 'INVALID' } end
  if not want[sku] then
    want[sku] = 0
    skus[#skus + 1] = sku
  end
  want[sku] = want[sku] + n
  if want[sku] > tonumber(quantity_max) then return { 'INVALID' } end
end
if #skus == 0 then return { 'INVALID' } end

local left = redis.call('HMGET', stock, unpack(skus))
local load, short = { 'LOAD' }, { 'SOLD_OUT' }
for i, sku in ipairs(skus) do
  if not left[i] then
    load[#load + 1] = sku
  elseif tonumber(left[i]) < want[sku] then
    short[#short + 1] = sku
    short[#short + 1] = tostring(want[sku])
    short[#short + 1] = left[i]
  end
end
if #load > 1 then return load end
if #short > 1 then return short end

local deltas = {}
for i, sku in ipairs(skus) do
  redis.call('HINCRBY', stock, sku, string.format('%d', -want[sku]))
  deltas[i] = sku .. ':' .. string.format('%d', -want[sku])
end
local reserved = table.concat(deltas, ',')
local id = redis.call('XADD', journal, '*', 'kind', 'R', 'order', order_id, 'deltas', reserved,
  'time', now_ms, 'trace', traceparent, 'snapshot', snapshot)
redis.call('HSET', record, 'state', '0', 'deltas', reserved, 'snapshot', snapshot, 'time', now_ms,
  'reserved', id, 'entry', id, 'epoch', epoch, 'marker', marker)
redis.call('SET', marker, order_id .. fingerprint, 'EX', marker_ttl_s)
if tonumber(rate_max) > 0 and redis.call('INCR', rate) == 1 then
  redis.call('EXPIRE', rate, rate_window_s)
end
return { 'OK', id }
