-- begin_order: begins an order of the cart, in the name of its generation.
--
-- KEYS  generation   string: what identifies the content of the cart
--       placing      string: the generation that is being ordered
-- ARGV  generation (for a cart that has none), ttl_s (of the generation), placing_ttl_ms
-- Returns {generation, 1}, or {generation, 0} if another generation of the cart is being ordered. Idempotent.
local generation, placing = KEYS[1], KEYS[2]
local fresh, ttl_s, placing_ttl_ms = unpack(ARGV)

local current = redis.call('GET', generation)
if not current then
  current = fresh
  redis.call('SET', generation, current, 'EX', ttl_s)
end
local other = redis.call('GET', placing)
if other and other ~= current then return {current, 0} end
redis.call('SET', placing, current, 'PX', placing_ttl_ms)
return {current, 1}
