-- Functions on what customers hold without having paid, and on what they ordered lately. They come before the scripts that use them.
--
-- unpaid   zset, order id -> until when it counts at most, in ms: what is never paid or released is forgotten by then
-- notes    hash, order id -> "SKU:UNITS,... CUSTOMER"
-- counts   hash, "c:CUSTOMER" -> unpaid orders, "u:SKU" -> units that unpaid orders hold
-- bought   hash of a customer, SKU -> units ordered in the present window

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

-- unpaid_heal: forgets a few orders whose time is over.
local function unpaid_heal(unpaid, notes, counts, now_ms)
  for _, id in ipairs(redis.call('ZRANGEBYSCORE', unpaid, '-inf', '(' .. now_ms, 'LIMIT', 0, 16)) do
    unpaid_forget(unpaid, notes, counts, id)
  end
end

-- unpaid_remember: the order holds lines ("SKU:UNITS,...") from now on. Idempotent.
local function unpaid_remember(unpaid, notes, counts, order_id, customer, lines, until_ms)
  if redis.call('ZADD', unpaid, 'NX', until_ms, order_id) == 0 then return end
  redis.call('HSET', notes, order_id, lines .. ' ' .. customer)
  unpaid_count(counts, 'c:' .. customer, 1)
  for sku, n in string.gmatch(lines, '([^:,]+):([^,]+)') do unpaid_count(counts, 'u:' .. sku, tonumber(n)) end
end

-- bought_return: units ("SKU:UNITS,...") of an order came back, and the customer may order them again.
local function bought_return(bought, units)
  for sku, n in string.gmatch(units, '([^:,]+):([^,]+)') do
    if redis.call('HEXISTS', bought, sku) == 1 then unpaid_count(bought, sku, -tonumber(n)) end
  end
end
