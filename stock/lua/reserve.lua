-- reserve: takes the stock of all lines of one order, or of none, and caches the order.
--
-- KEYS  epoch_key    string, the number of the open epoch
--       journal      stream of the epoch
--       stock        hash of the epoch, SKU -> units left
--       hot_order    hash of the order
--       idempotency  string, the idempotency record: order id, then fingerprint
--       rate         string, the customer's orders in the present window
--       bought, unpaid, unpaid_notes, unpaid_counts: see unpaid.lua
-- ARGV  epoch, order_id, fingerprint, lines ("sku:quantity,..."), snapshot (opaque), now_ms, idempotency_ttl_s,
--       journal_max (entries), rate_max (orders a window, 0 = no limit), rate_window_s, quantity_max, traceparent,
--       replid (the replication id that the epoch was opened on; empty for the embedded Redis), customer, customer_max
--       ("sku:units,...", of SKUs that have a limit for each customer), bought_window_s (0 = only the order itself counts),
--       pay_later ("1": the order is placed without a card), unpaid_until_ms, unpaid_orders_max (of the customer), unpaid_percent
--       (of a SKU's units, 0 = no limit), unpaid_total_max
-- Returns {"OK", entry id}           reserved, now or before with the same order_id
--         {"EPOCH"}                  the epoch is not the open one: nothing was done
--         {"REPLAY", order id}       the key was used before with this fingerprint
--         {"MISMATCH"}               the key was used before with another fingerprint
--         {"BUSY"}                   the journal is at its bound
--         {"LIMIT", seconds}         the customer is at their limit of orders for that long
--         {"UNITS", sku, max, ordered before, seconds}   the customer would have more units of the SKU than they may
--         {"UNPAID", "orders" or "total", max}, {"UNPAID", "share", max, sku}   there would be too many unpaid orders or units
--         {"INVALID"}                a quantity is not 1..quantity_max
--         {"LOAD", sku, ...}         these SKUs have no counter: load them and call again
--         {"SOLD_OUT", sku, requested, left, ...}
-- Idempotent by order_id.
local epoch_key, journal, stock, hot_order, idempotency, rate, bought, unpaid, unpaid_notes, unpaid_counts = unpack(KEYS)
local epoch, order_id, fingerprint, lines, snapshot, now_ms, idempotency_ttl_s,
  journal_max, rate_max, rate_window_s, quantity_max, traceparent, replid,
  customer, customer_max, bought_window_s, pay_later, unpaid_until_ms, unpaid_orders_max, unpaid_percent, unpaid_total_max = unpack(ARGV)
local order_id_length = 26

local number, seen, placed = unpack(redis.call('MGET', epoch_key, idempotency, rate))
if not open_epoch(number, epoch, replid) then return { 'EPOCH' } end

if seen then
  local seen_id = string.sub(seen, 1, order_id_length)
  if seen_id == order_id then return { 'OK', redis.call('HGET', hot_order, 'reserved') or '' } end
  if string.sub(seen, order_id_length + 1) ~= fingerprint then return { 'MISMATCH' } end
  return { 'REPLAY', seen_id }
end

if redis.call('XLEN', journal) >= tonumber(journal_max) then return { 'BUSY' } end
local limited = rate_max ~= '0'
if limited and placed and tonumber(placed) >= tonumber(rate_max) then
  return { 'LIMIT', tostring(redis.call('TTL', rate)) }
end

-- Two lines of one SKU are one demand, so that both are checked before either is taken.
local want, skus, most_units = {}, {}, tonumber(quantity_max)
for sku, quantity in string.gmatch(lines, '([^:,]+):([^,]+)') do
  local n = tonumber(quantity)
  if not n or n < 1 or n ~= math.floor(n) then return { 'INVALID' } end
  if not want[sku] then skus[#skus + 1] = sku end
  n = n + (want[sku] or 0)
  want[sku] = n
  if n > most_units then return { 'INVALID' } end
end
if #skus == 0 then return { 'INVALID' } end

local left = redis.call('HMGET', stock, unpack(skus))
local load, short
for i, sku in ipairs(skus) do
  if not left[i] then
    load = load or { 'LOAD' }
    load[#load + 1] = sku
  elseif tonumber(left[i]) < want[sku] then
    short = short or { 'SOLD_OUT' }
    short[#short + 1] = sku
    short[#short + 1] = tostring(want[sku])
    short[#short + 1] = left[i]
  end
end
if load then return load end
if short then return short end

for sku, most in string.gmatch(customer_max, '([^:,]+):([^,]+)') do
  local before = bought_window_s ~= '0' and tonumber(redis.call('HGET', bought, sku) or '0') or 0
  if want[sku] and before + want[sku] > tonumber(most) then
    return { 'UNITS', sku, most, tostring(before), tostring(redis.call('TTL', bought)) }
  end
end

if pay_later == '1' then
  unpaid_expire(unpaid, unpaid_notes, unpaid_counts, hot_order, order_id, epoch, now_ms, unpaid_until_ms)
  local function full(max, n) return tonumber(max) > 0 and n >= tonumber(max) end
  if full(unpaid_total_max, redis.call('ZCARD', unpaid)) then return { 'UNPAID', 'total', unpaid_total_max } end
  if full(unpaid_orders_max, tonumber(redis.call('HGET', unpaid_counts, 'c:' .. customer) or '0')) then
    return { 'UNPAID', 'orders', unpaid_orders_max }
  end
  for i, sku in ipairs(skus) do
    local held = tonumber(redis.call('HGET', unpaid_counts, 'u:' .. sku) or '0')
    -- Of what is for sale without being paid for; one unit always is, or a product with few could not be paid later at all.
    local most = math.max(1, math.floor((tonumber(left[i]) + held) * tonumber(unpaid_percent) / 100))
    if tonumber(unpaid_percent) > 0 and held + want[sku] > most then return { 'UNPAID', 'share', string.format('%d', most), sku } end
  end
end

local deltas = {}
for i, sku in ipairs(skus) do
  local units = string.format('%d', -want[sku])
  redis.call('HINCRBY', stock, sku, units)
  deltas[i] = sku .. ':' .. units
end
local reserved = table.concat(deltas, ',')
local id = redis.call('XADD', journal, '*', 'kind', 'R', 'order', order_id, 'deltas', reserved,
  'time', now_ms, 'trace', traceparent, 'snapshot', snapshot)
redis.call('HSET', hot_order, 'state', '0', 'deltas', reserved, 'snapshot', snapshot, 'time', now_ms,
  'reserved', id, 'entry', id, 'epoch', epoch, 'marker', idempotency, 'customer', customer)
if traceparent ~= '' then redis.call('HSET', hot_order, 'trace', traceparent) end
redis.call('SET', idempotency, order_id .. fingerprint, 'EX', idempotency_ttl_s)
if limited and placed then
  redis.call('INCR', rate)
elseif limited then
  redis.call('SET', rate, 1, 'EX', rate_window_s)
end
if bought_window_s ~= '0' and customer_max ~= '' then
  redis.call('HSET', hot_order, 'bought', bought)
  local counted = {}
  for sku in string.gmatch(customer_max, '([^:,]+):') do
    if want[sku] then counted[#counted + 1] = sku .. ':' .. string.format('%d', want[sku]) end
  end
  bought_count(bought, order_id, table.concat(counted, ','), bought_window_s)
end
if pay_later == '1' then
  unpaid_add(unpaid, unpaid_notes, unpaid_counts, order_id, customer, (string.gsub(reserved, ':%-', ':')), unpaid_until_ms)
end
return { 'OK', id }
