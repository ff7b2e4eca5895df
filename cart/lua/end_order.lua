-- end_order: ends an attempt to order the cart.
--
-- KEYS  cart         hash SKU -> units
--       generation   string: what identifies the content of the cart
--       attempts     hash: "generation" -> the generation that is being ordered, and a field of each attempt that has not ended
-- ARGV  ordered (the generation), attempt (its name), outcome ("accepted": the order exists, "refused": it never will, "released": this attempt made none),
--       generation (the next one, if it was refused), ttl_s (of the generation)
-- A cart of the ordered generation is emptied after "accepted", and gets the next generation after "refused"; both end all attempts. Returns 1. Idempotent.
local cart, generation, attempts = KEYS[1], KEYS[2], KEYS[3]
local ordered, attempt, outcome, next_generation, ttl_s = unpack(ARGV)

if redis.call('GET', generation) == ordered then
  if outcome == 'accepted' then redis.call('DEL', cart) end
  if outcome == 'refused' then redis.call('SET', generation, next_generation, 'EX', ttl_s) end
end
if redis.call('HGET', attempts, 'generation') ~= ordered then return 1 end
if outcome ~= 'released' then
  redis.call('DEL', attempts)
elseif redis.call('HDEL', attempts, attempt) == 1 and redis.call('HLEN', attempts) == 1 then
  redis.call('DEL', attempts)
end
return 1
