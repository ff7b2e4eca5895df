-- set: changes the units of one SKU in a cart.
--
-- KEYS  cart         hash SKU -> units
--       generation   string: what identifies the content of the cart; left out for carts without generations
-- ARGV  sku, units, how ("add" to the present units, or "set"), units_max (of one SKU), lines_max (SKUs), ttl_s, generation (the next one)
-- Returns "OK", or "QUANTITY" (more than units_max) or "LINES" (more than lines_max) if nothing was done. Not
-- idempotent with "add".
local cart, generation = KEYS[1], KEYS[2]
local sku, units, how, units_max, lines_max, ttl_s, next_generation = unpack(ARGV)

local there = tonumber(redis.call('HGET', cart, sku) or '0')
local want = tonumber(units)
if how == 'add' then want = want + there end
if want > tonumber(units_max) then return 'QUANTITY' end
if want > 0 and there == 0 and redis.call('HLEN', cart) >= tonumber(lines_max) then return 'LINES' end
if generation then redis.call('SET', generation, next_generation, 'EX', ttl_s) end
if want <= 0 then
  redis.call('HDEL', cart, sku)
  return 'OK'
end
redis.call('HSET', cart, sku, string.format('%d', want))
redis.call('EXPIRE', cart, ttl_s)
return 'OK'
