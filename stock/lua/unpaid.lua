-- Functions on unpaid orders, and on the units that customers ordered in the present window. They are prepended to the scripts that call them.
--
-- unpaid   zset, order id -> when it is checked whether it is still PENDING, in ms: others are removed then
-- notes    hash, order id -> "SKU:UNITS,... CUSTOMER"
-- counts   hash, "c:CUSTOMER" -> unpaid orders, "u:SKU" -> units that unpaid orders hold
-- bought   hash of a customer, SKU -> units ordered in the present window, of SKUs that have a limit, and of all SKUs of orders that only SQL has
--          (bought.lua); ":ORDER_ID" -> what the order counted, "SKU:UNITS,..."; ":begin" -> the lowest id of the orders that count in it. A
--          window that an older version opened has no ":begin", but ":first" for it, or neither. Of a claimed guest it has ":to" alone -> the
--          customer's bought

-- count_add: adds n to a field and removes the field at 0.
local function count_add(counts, field, n)
  if redis.call('HINCRBY', counts, field, string.format('%d', n)) <= 0 then redis.call('HDEL', counts, field) end
end

-- unpaid_remove: removes an order that is paid, cancelled or lost. Idempotent.
local function unpaid_remove(unpaid, notes, counts, order_id)
  if redis.call('ZREM', unpaid, order_id) == 0 then return end
  local lines, customer = string.match(redis.call('HGET', notes, order_id) or '', '^(%S+) (.*)$')
  redis.call('HDEL', notes, order_id)
  if not lines then return end
  count_add(counts, 'c:' .. customer, -1)
  for sku, n in string.gmatch(lines, '([^:,]+):([^,]+)') do count_add(counts, 'u:' .. sku, -tonumber(n)) end
end

-- unpaid_age_max_ms is the age from which a PENDING hot order is not counted again, in ms: 24 hours. SQL may not have it, because its entry
-- is a dead letter: nothing would ever end it. The payment reconciler marks those that SQL has as PENDING again.
local unpaid_age_max_ms = 86400000

-- unpaid_expire: checks up to 16 orders that are due. One that is still PENDING, and below the age bound, counts until until_ms. Others are
-- removed, and so are hot orders of an earlier epoch that were not compared with SQL: their Redis may have lost that they were paid or released.
-- hot_order is the key of the order order_id; the keys of all hot orders have the same form.
local function unpaid_expire(unpaid, notes, counts, hot_order, order_id, epoch, now_ms, until_ms)
  local prefix = string.sub(hot_order, 1, #hot_order - #order_id)
  for _, id in ipairs(redis.call('ZRANGEBYSCORE', unpaid, '-inf', '(' .. now_ms, 'LIMIT', 0, 16)) do
    local state, entry_epoch, confirmed, time = unpack(redis.call('HMGET', prefix .. id, 'state', 'epoch', 'confirmed', 'time'))
    local recent = tonumber(now_ms) - (tonumber(time or '0') or 0) <= unpaid_age_max_ms
    if state == '0' and recent and (entry_epoch == epoch or confirmed == epoch) then
      redis.call('ZADD', unpaid, 'XX', until_ms, id)
    else
      unpaid_remove(unpaid, notes, counts, id)
    end
  end
end

-- unpaid_add: counts the lines ("SKU:UNITS,...") of an order as unpaid from now on. Idempotent.
local function unpaid_add(unpaid, notes, counts, order_id, customer, lines, until_ms)
  if redis.call('ZADD', unpaid, 'NX', until_ms, order_id) == 0 then return end
  redis.call('HSET', notes, order_id, lines .. ' ' .. customer)
  count_add(counts, 'c:' .. customer, 1)
  for sku, n in string.gmatch(lines, '([^:,]+):([^,]+)') do count_add(counts, 'u:' .. sku, tonumber(n)) end
end

-- bought_of: the bought in which the units of a customer's orders count: of a claimed guest, that of the customer.
local function bought_of(bought) return redis.call('HGET', bought, ':to') or bought end

-- bought_begin: the lowest id of the orders that count in the window, or false.
local function bought_begin(bought)
  local begin, first = unpack(redis.call('HMGET', bought, ':begin', ':first'))
  return begin or first
end

-- bought_count: counts units ("SKU:UNITS,...") of an order in the present window of its customer, which begins with it if there is none.
local function bought_count(bought, order_id, units, window_s)
  local fresh = redis.call('EXISTS', bought) == 0
  local begin = redis.call('HGET', bought, ':begin')
  if fresh or (begin and order_id < begin) then redis.call('HSET', bought, ':begin', order_id) end
  for sku, n in string.gmatch(units, '([^:,]+):([^,]+)') do redis.call('HINCRBY', bought, sku, n) end
  redis.call('HSET', bought, ':' .. order_id, units)
  if redis.call('TTL', bought) == -1 then redis.call('EXPIRE', bought, window_s) end
end

-- bought_return: subtracts what an order counted, because its units ("SKU:UNITS,...") came back, so that the customer may order them again. An order
-- that counted nothing in this window changes nothing: it was counted in an earlier one, came back before, or has no SKU with a limit. In a
-- window of an older version, which has no record of that, all units count that are not of an order below its first one: ids sort by time.
local function bought_return(bought, order_id, units)
  bought = bought_of(bought)
  local counted = redis.call('HGET', bought, ':' .. order_id)
  if counted then
    redis.call('HDEL', bought, ':' .. order_id)
    units = counted
  elseif redis.call('HEXISTS', bought, ':begin') == 1 then
    return
  end
  local begin = bought_begin(bought)
  if not counted and begin and order_id < begin then return end
  for sku, n in string.gmatch(units, '([^:,]+):([^,]+)') do
    if redis.call('HEXISTS', bought, sku) == 1 then count_add(bought, sku, -tonumber(n)) end
  end
  if begin and redis.call('HLEN', bought) == 1 then redis.call('DEL', bought) end
end

-- bought_again: adds what an order counted ("SKU:UNITS,...") and bought_return subtracted, because that did not happen after all. An order that
-- counts still adds nothing. A window that ended meanwhile, or that began after the order, stays as it is.
local function bought_again(bought, order_id, counted)
  bought = bought_of(bought)
  if redis.call('EXISTS', bought) == 0 or redis.call('HEXISTS', bought, ':' .. order_id) == 1 then return end
  local begin = bought_begin(bought)
  if begin and order_id < begin then return end
  for sku, n in string.gmatch(counted, '([^:,]+):([^,]+)') do redis.call('HINCRBY', bought, sku, n) end
  redis.call('HSET', bought, ':' .. order_id, counted)
end

-- bought_move: has what counts for a guest count for the customer who has claimed the guest's orders, until the later end of both windows. The reference
-- stays for to_ttl_s at least, because a claim of another guest can move that end further. Idempotent.
local function bought_move(from, to, to_ttl_s)
  local left_s = redis.call('TTL', from)
  if left_s <= 0 or redis.call('HEXISTS', from, ':to') == 1 then return end
  local fresh, fields = redis.call('EXISTS', to) == 0, redis.call('HGETALL', from)
  local begin, begins = bought_begin(from), redis.call('HGET', to, ':begin')
  for i = 1, #fields, 2 do
    local field, value = fields[i], fields[i + 1]
    if string.sub(field, 1, 1) ~= ':' then
      redis.call('HINCRBY', to, field, value)
    elseif field ~= ':begin' and field ~= ':first' and redis.call('HSETNX', to, field, value) == 0 then
      -- It counts there already, because SQL had the claim before (bought.lua): its units, which move as well, count once.
      for sku, n in string.gmatch(value, '([^:,]+):([^,]+)') do redis.call('HINCRBY', to, sku, string.format('%d', -tonumber(n))) end
    end
  end
  if begin and (fresh or (begins and begin < begins)) then redis.call('HSET', to, ':begin', begin) end
  if redis.call('TTL', to) < left_s then redis.call('EXPIRE', to, left_s) end
  redis.call('DEL', from)
  redis.call('HSET', from, ':to', to)
  redis.call('EXPIRE', from, math.max(redis.call('TTL', to), tonumber(to_ttl_s)))
end
