-- moved: ends a move, and puts what did not fit back into the guest's cart.
--
-- KEYS  cart     hash SKU -> units
--       moving   hash, see take
-- ARGV  move, units_max (of one SKU), ttl_s (of the cart), then pairs: sku, units that did not fit
-- Returns 1 if the move was ended, 0 if it had ended before. Idempotent.
local cart, moving = KEYS[1], KEYS[2]
local move, units_max, ttl_s = unpack(ARGV, 1, 3)

if redis.call('HGET', moving, ':move') ~= move then return 0 end
redis.call('DEL', moving)
for i = 4, #ARGV, 2 do
  local there = tonumber(redis.call('HGET', cart, ARGV[i]) or '0')
  redis.call('HSET', cart, ARGV[i], string.format('%d', math.min(there + tonumber(ARGV[i + 1]), tonumber(units_max))))
end
if #ARGV > 3 then redis.call('EXPIRE', cart, ttl_s) end
return 1
