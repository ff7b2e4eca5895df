-- moved: ends a move, and puts what did not fit back into the guest's cart.
--
-- KEYS  cart     hash SKU -> units
--       moving   hash, see take
-- ARGV  move, units_max (of one SKU), lines_max (SKUs), ttl_s (of the cart), then pairs: sku, units that did not fit
-- Returns 1 if the move was ended, 0 if it had ended before. Idempotent.
local cart, moving = KEYS[1], KEYS[2]
local move, units_max, lines_max, ttl_s = unpack(ARGV, 1, 4)

if redis.call('HGET', moving, ':move') ~= move then return 0 end
redis.call('DEL', moving)
local lines = redis.call('HLEN', cart)
for i = 5, #ARGV, 2 do
  local there = tonumber(redis.call('HGET', cart, ARGV[i]) or '0')
  if there == 0 then lines = lines + 1 end
  if there > 0 or lines <= tonumber(lines_max) then
    redis.call('HSET', cart, ARGV[i], string.format('%d', math.min(there + tonumber(ARGV[i + 1]), tonumber(units_max))))
  end
end
if #ARGV > 4 then redis.call('EXPIRE', cart, ttl_s) end
return 1
