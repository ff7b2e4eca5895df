-- Functions on what customers hold without having paid, and on what they ordered lately. They come before the scripts that use them.
--
-- unpaid   zset, order id -> when it is checked whether it is still PENDING, in ms: what is not is forgotten then
-- notes    hash, order id -> "SKU:UNITS,... CUSTOMER"
-- counts   hash, "c:CUSTOMER" -> unpaid orders, "u:SKU" -> units that unpaid orders hold
-- bought   hash of a customer, SKU -> units ordered in the present window; ":first" -> the lowest id of the orders that count in it
--          (a window that an older version opened has none)

local function unpaid_count(counts, field, n)
  if redis.call('HINCRBY', counts, field, string.format('%d', n)) <= 0 then redis.call('HDEL', counts, field) end
end

-- unpaid_forget: the order is paid, cancelled, or forgotten. Idempotent.
local function unpaid_forget(unpaid, notes, counts, order_id)
  if redis.call('ZREM', unpaid, order_id) == 0 then return end
  local lines, customer = string.match(redis.call('HGET', notes, order_id) or '', '^(%S+) (.*)$')
  redis.call('HDEL', notes, order_id)
  if not lines then return end
  unpaid_count(counts, 'c:' .. customer, -1)
  for sku, n in string.gmatch(lines, '([^:,]+):([^,]+)') do unpaid_count(counts, 'u:' .. sku, -tonumber(n)) end
end

-- unpaid_heal: checks a few orders whose time has come. One that is still PENDING counts until until_ms. Others are forgotten, and so are
-- those whose record is of an earlier epoch and was not compared with SQL: their Redis may have lost that they were paid or released.
-- record is the key of the order order_id; all records are named like it.
local function unpaid_heal(unpaid, notes, counts, record, order_id, epoch, now_ms, until_ms)
  local prefix = string.sub(record, 1, #record - #order_id)
  for _, id in ipairs(redis.call('ZRANGEBYSCORE', unpaid, '-inf', '(' .. now_ms, 'LIMIT', 0, 16)) do
    local state, entry_epoch, confirmed = unpack(redis.call('HMGET', prefix .. id, 'state', 'epoch', 'confirmed'))
    if state == '0' and (entry_epoch == epoch or confirmed == epoch) then
      redis.call('ZADD', unpaid, 'XX', until_ms, id)
    else
      unpaid_forget(unpaid, notes, counts, id)
    end
  end
end

-- unpaid_remember: the order holds lines ("SKU:UNITS,...") from now on. Idempotent.
local function unpaid_remember(unpaid, notes, counts, order_id, customer, lines, until_ms)
  if redis.call('ZADD', unpaid, 'NX', until_ms, order_id) == 0 then return end
  redis.call('HSET', notes, order_id, lines .. ' ' .. customer)
  unpaid_count(counts, 'c:' .. customer, 1)
  for sku, n in string.gmatch(lines, '([^:,]+):([^,]+)') do unpaid_count(counts, 'u:' .. sku, tonumber(n)) end
end

-- bought_count: units ("SKU:UNITS,...") of an order count in the present window of its customer, which begins with it if there is none.
local function bought_count(bought, order_id, units, window_s)
  local fresh = redis.call('EXISTS', bought) == 0
  local first = redis.call('HGET', bought, ':first')
  if fresh or (first and order_id < first) then redis.call('HSET', bought, ':first', order_id) end
  for sku, n in string.gmatch(units, '([^:,]+):([^,]+)') do redis.call('HINCRBY', bought, sku, n) end
  if redis.call('TTL', bought) == -1 then redis.call('EXPIRE', bought, window_s) end
end

-- bought_return: units ("SKU:UNITS,...") of an order came back, and the customer may order them again. Ids sort by time: an order below
-- the first one of the window counted in an earlier window, so that this one keeps its units.
local function bought_return(bought, order_id, units)
  local first = redis.call('HGET', bought, ':first')
  if first and order_id < first then return end
  for sku, n in string.gmatch(units, '([^:,]+):([^,]+)') do
    if redis.call('HEXISTS', bought, sku) == 1 then unpaid_count(bought, sku, -tonumber(n)) end
  end
  if first and redis.call('HLEN', bought) == 1 then redis.call('DEL', bought) end
end
