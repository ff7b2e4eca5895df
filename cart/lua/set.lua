-- set: changes the units of one SKU in a cart.
--
-- KEYS  cart   hash SKU -> units
-- ARGV  sku, units, how ("add" to the present units, or "set"), units_max (of one SKU), lines_max (SKUs), ttl_s
-- Returns "OK", or "QUANTITY" (more than units_max) or "LINES" (more than lines_max) if nothing was done. Not
-- idempotent with "add".
local cart = KEYS[1]
local sku, units, how, units_max, lines_max, ttl_s = unpack(ARGV)

local there = tonumber(redis.call('HGET', cart, sku) or '0')
local want = tonumber(units)
if how == 'add' then want = want + there end
if want > tonumber(units_max) then return 'QUANTITY' end
if want <= 0 then
  redis.call('HDEL', cart, sku)
  return 'OK'
end
if there == 0 and redis.call('HLEN', cart) >= tonumber(lines_max) then return 'LINES' end
redis.call('HSET', cart, sku, string.format('%d', want))
redis.call('EXPIRE', cart, ttl_s)
return 'OK'
