-- end_order: ends an order of the cart.
--
-- KEYS  cart         hash SKU -> units
--       generation   string: what identifies the content of the cart
--       placing      string: the generation that is being ordered
-- ARGV  ordered (the generation), outcome ("accepted": the order exists, "refused": it never will, "released": it was not made),
--       generation (the next one, if it was refused), ttl_s (of the generation)
-- A cart of the ordered generation is emptied after "accepted", and gets the next generation after "refused". Returns 1. Idempotent.
local cart, generation, placing = KEYS[1], KEYS[2], KEYS[3]
local ordered, outcome, next_generation, ttl_s = unpack(ARGV)

if redis.call('GET', generation) == ordered then
  if outcome == 'accepted' then redis.call('DEL', cart) end
  if outcome == 'refused' then redis.call('SET', generation, next_generation, 'EX', ttl_s) end
end
if redis.call('GET', placing) == ordered then redis.call('DEL', placing) end
return 1
