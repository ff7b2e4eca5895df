-- empty_if: empties a cart that contains exactly these items.
--
-- KEYS  cart   hash SKU -> units
-- ARGV  pairs: sku, units
-- Returns 1 if it was emptied, 0 if its content differs. Idempotent.
local cart = KEYS[1]
if redis.call('HLEN', cart) ~= #ARGV / 2 then return 0 end
for i = 1, #ARGV, 2 do
  if redis.call('HGET', cart, ARGV[i]) ~= ARGV[i + 1] then return 0 end
end
return redis.call('DEL', cart)
