-- reserve: takes the stock of all lines of an order, or of none, and caches the order; for several orders, one after the other.
--
-- KEYS  epoch_key    string, the number of the open epoch
--       journal      stream of the epoch
--       stock        hash of the epoch, SKU -> units left
--       unpaid, unpaid_notes, unpaid_counts: see unpaid.lua
--       then of each order:
--       hot_order    hash of the order
--       idempotency  string, the idempotency record: order id, then fingerprint
--       rate         string, the customer's orders in the present window
--       bought       see unpaid.lua
--       claimed      string, set once a customer has claimed the orders of the guest who places this one
-- ARGV  epoch, replid (the replication id that the epoch was opened on; empty for the embedded Redis), now_ms, idempotency_ttl_s,
--       journal_max (entries), rate_max (orders a window, 0 = no limit), rate_window_s, quantity_max, bought_window_s (0 = only the order
--       itself counts), unpaid_until_ms, unpaid_orders_max (of the customer), unpaid_percent (of a SKU's units, 0 = no limit), unpaid_total_max
--       then of each order:
--       order_id, fingerprint, lines ("sku:quantity,..."), snapshot (opaque), traceparent, customer, customer_max ("sku:units,...", of SKUs
--       that have a limit for each customer), pay_later ("1": the order is placed without a card)
-- Returns {"EPOCH"}: the epoch is not the open one, and nothing was done. Otherwise one of these for each order:
--         {"OK", entry id}           reserved, now or before with the same order_id
--         {"REPLAY", order id}       the key was used before with this fingerprint
--         {"MISMATCH", order id}     the key was used before with another fingerprint
--         {"CLAIMED"}                a customer has claimed the orders of the guest, who places no further ones
--         {"BUSY"}                   the journal is at its bound
--         {"LIMIT", seconds}         the customer is at their limit of orders for that long
--         {"UNITS", sku, max, ordered before, seconds}   the customer would have more units of the SKU than they may
--         {"UNPAID", "orders" or "total", max}, {"UNPAID", "share", max, sku}   there would be too many unpaid orders or units
--         {"INVALID"}                a quantity is not 1..quantity_max
--         {"LOAD", sku, ...}         these SKUs have no counter: load them and call again
--         {"SOLD_OUT", sku, requested, left, ...}
-- Idempotent by order_id. Each order gets what it would get in a call of its own after the orders before it. What they need is read once;
-- `records`, `placed`, `entries` and `left` follow what the orders before have changed.
local keys_before, keys_each, args_before, args_each, order_id_length = 6, 5, 13, 8, 26
local epoch_key, journal, stock, unpaid, unpaid_notes, unpaid_counts = unpack(KEYS, 1, keys_before)
local epoch, replid, now_ms, idempotency_ttl_s, journal_max, rate_max, rate_window_s, quantity_max, bought_window_s,
  unpaid_until_ms, unpaid_orders_max, unpaid_percent, unpaid_total_max = unpack(ARGV, 1, args_before)
local orders = (#KEYS - keys_before) / keys_each
local limited, orders_max = rate_max ~= '0', tonumber(rate_max)
local entries_max, units_max = tonumber(journal_max), tonumber(quantity_max)

-- missing returns the refusal of an order of SKUs that have no counter, or not enough units.
local function missing(skus, want, left)
  local load, short
  for i, sku in ipairs(skus) do
    if not left[sku] then
      load = load or { 'LOAD' }
      load[#load + 1] = sku
    elseif left[sku] < want[i] then
      short = short or { 'SOLD_OUT' }
      short[#short + 1] = sku
      short[#short + 1] = string.format('%d', want[i])
      short[#short + 1] = string.format('%d', left[sku])
    end
  end
  return load or short
end

-- too_many returns the refusal of an order of more units of a SKU than its customer may have.
local function too_many(units_of, customer_max, bought)
  for sku, most in string.gmatch(customer_max, '([^:,]+):([^,]+)') do
    local before = bought_window_s ~= '0' and tonumber(redis.call('HGET', bought, sku) or '0') or 0
    if units_of[sku] and before + units_of[sku] > tonumber(most) then
      return { 'UNITS', sku, most, tostring(before), tostring(redis.call('TTL', bought)) }
    end
  end
end

-- too_many_unpaid returns the refusal of an order without a card when there are too many of them.
local function too_many_unpaid(skus, want, left, hot_order, order_id, customer)
  unpaid_expire(unpaid, unpaid_notes, unpaid_counts, hot_order, order_id, epoch, now_ms, unpaid_until_ms)
  local function full(max, n) return tonumber(max) > 0 and n >= tonumber(max) end
  if full(unpaid_total_max, redis.call('ZCARD', unpaid)) then return { 'UNPAID', 'total', unpaid_total_max } end
  if full(unpaid_orders_max, tonumber(redis.call('HGET', unpaid_counts, 'c:' .. customer) or '0')) then
    return { 'UNPAID', 'orders', unpaid_orders_max }
  end
  for i, sku in ipairs(skus) do
    local held = tonumber(redis.call('HGET', unpaid_counts, 'u:' .. sku) or '0')
    -- Of what is for sale without being paid for; one unit always is, or a product with few could not be paid later at all.
    local most = math.max(1, math.floor((left[sku] + held) * tonumber(unpaid_percent) / 100))
    if tonumber(unpaid_percent) > 0 and held + want[i] > most then return { 'UNPAID', 'share', string.format('%d', most), sku } end
  end
end

local reads = { epoch_key }
for k = keys_before, #KEYS - 1, keys_each do
  reads[#reads + 1] = KEYS[k + 2]
  reads[#reads + 1] = KEYS[k + 3]
  reads[#reads + 1] = KEYS[k + 5]
end
local values = redis.call('MGET', unpack(reads))
if not open_epoch(values[1], epoch, replid) then return { 'EPOCH' } end
-- records: idempotency key -> record. placed: rate key -> orders in the window. claims: claimed key -> the customer.
local records, placed, claims = {}, {}, {}
for v = 2, #reads, 3 do
  records[reads[v]] = values[v]
  placed[reads[v + 1]] = values[v + 1] and tonumber(values[v + 1])
  claims[reads[v + 2]] = values[v + 2]
end
local entries = redis.call('XLEN', journal)

-- demands: the distinct SKUs of each order, false if a line is invalid. wants: the units of each. Two lines of one SKU are one demand, so
-- that both are checked before either is taken. left: SKU -> units, false without a counter.
local demands, wants, left, all_skus = {}, {}, {}, {}
for o = 1, orders do
  local skus, want, at, valid = {}, {}, {}, true
  for sku, quantity in string.gmatch(ARGV[args_before + (o - 1) * args_each + 3], '([^:,]+):([^,]+)') do
    local n, i = tonumber(quantity), at[sku]
    if not n or n < 1 or n % 1 ~= 0 then
      valid = false
      break
    end
    if not i then
      i = #skus + 1
      at[sku], skus[i], want[i] = i, sku, 0
      if left[sku] == nil then
        left[sku] = false
        all_skus[#all_skus + 1] = sku
      end
    end
    want[i] = want[i] + n
    valid = valid and want[i] <= units_max
  end
  demands[o], wants[o] = valid and skus[1] and skus, want
end
if all_skus[1] then
  local units = redis.call('HMGET', stock, unpack(all_skus))
  for i, sku in ipairs(all_skus) do left[sku] = units[i] and tonumber(units[i]) end
end

local replies = {}
for o = 1, orders do
  local k, a = keys_before + (o - 1) * keys_each, args_before + (o - 1) * args_each
  local hot_order, idempotency, rate, bought, claimed = KEYS[k + 1], KEYS[k + 2], KEYS[k + 3], KEYS[k + 4], KEYS[k + 5]
  local order_id, fingerprint, snapshot, traceparent = ARGV[a + 1], ARGV[a + 2], ARGV[a + 4], ARGV[a + 5]
  local customer, customer_max, pay_later = ARGV[a + 6], ARGV[a + 7], ARGV[a + 8]
  local record, before, skus, want = records[idempotency], placed[rate], demands[o], wants[o]
  local limited_units = customer_max ~= '' and {}
  local reply
  if record then
    local seen_id = string.sub(record, 1, order_id_length)
    if seen_id == order_id then
      reply = { 'OK', redis.call('HGET', hot_order, 'reserved') or '' }
    elseif string.sub(record, order_id_length + 1) ~= fingerprint then
      reply = { 'MISMATCH', seen_id }
    else
      reply = { 'REPLAY', seen_id }
    end
  elseif claims[claimed] then
    reply = { 'CLAIMED' }
  elseif entries >= entries_max then
    reply = { 'BUSY' }
  elseif limited and before and before >= orders_max then
    reply = { 'LIMIT', tostring(redis.call('TTL', rate)) }
  elseif not skus then
    reply = { 'INVALID' }
  else
    reply = missing(skus, want, left)
    if limited_units then
      for i, sku in ipairs(skus) do limited_units[sku] = want[i] end
      reply = reply or too_many(limited_units, customer_max, bought)
    end
    if pay_later == '1' then reply = reply or too_many_unpaid(skus, want, left, hot_order, order_id, customer) end
  end

  if not reply then
    local deltas = {}
    for i, sku in ipairs(skus) do
      local units = string.format('%d', -want[i])
      redis.call('HINCRBY', stock, sku, units)
      left[sku] = left[sku] - want[i]
      deltas[i] = sku .. ':' .. units
    end
    local reserved, id = table.concat(deltas, ',')
    if traceparent == '' then
      id = redis.call('XADD', journal, '*', 'kind', 'R', 'order', order_id, 'deltas', reserved, 'time', now_ms, 'snapshot', snapshot)
    else
      id = redis.call('XADD', journal, '*', 'kind', 'R', 'order', order_id, 'deltas', reserved, 'time', now_ms, 'snapshot', snapshot,
        'trace', traceparent)
    end
    entries = entries + 1
    redis.call('HSET', hot_order, 'state', '0', 'deltas', reserved, 'snapshot', snapshot, 'time', now_ms,
      'reserved', id, 'entry', id, 'epoch', epoch, 'marker', idempotency, 'customer', customer)
    if traceparent ~= '' then redis.call('HSET', hot_order, 'trace', traceparent) end
    records[idempotency] = order_id .. fingerprint
    redis.call('SET', idempotency, records[idempotency], 'EX', idempotency_ttl_s)
    if limited and before then
      redis.call('INCR', rate)
    elseif limited then
      redis.call('SET', rate, 1, 'EX', rate_window_s)
    end
    placed[rate] = (before or 0) + 1
    if bought_window_s ~= '0' and limited_units then
      local counted = {}
      for sku in string.gmatch(customer_max, '([^:,]+):') do
        if limited_units[sku] then counted[#counted + 1] = sku .. ':' .. string.format('%d', limited_units[sku]) end
      end
      counted = table.concat(counted, ',')
      redis.call('HSET', hot_order, 'bought', bought, 'counted', counted)
      bought_count(bought, order_id, counted, bought_window_s)
    end
    if pay_later == '1' then
      unpaid_add(unpaid, unpaid_notes, unpaid_counts, order_id, customer, (string.gsub(reserved, ':%-', ':')), unpaid_until_ms)
    end
    reply = { 'OK', id }
  end
  replies[o] = reply
end
return replies
