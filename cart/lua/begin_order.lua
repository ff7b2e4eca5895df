-- begin_order: begins an order of the cart, in the name of its generation.
--
-- KEYS  generation   string: what identifies the content of the cart
--       attempts     hash: "generation" -> the generation that is being ordered, and a field of each attempt that has not ended
-- ARGV  generation (for a cart that has none), ttl_s (of the generation), attempt (its name), attempts_max (fields), attempts_ttl_s
-- Returns {generation, 1}, or {generation, 0} if another generation of the cart is being ordered. Idempotent.
local generation, attempts = KEYS[1], KEYS[2]
local fresh, ttl_s, attempt, attempts_max, attempts_ttl_s = unpack(ARGV)

local current = redis.call('GET', generation)
if not current then
  current = fresh
  redis.call('SET', generation, current, 'EX', ttl_s)
end
local other = redis.call('HGET', attempts, 'generation')
if other and other ~= current then return {current, 0} end
redis.call('HSET', attempts, 'generation', current)
-- Those beyond the bound are not counted: the others keep the generation.
if redis.call('HLEN', attempts) <= tonumber(attempts_max) then redis.call('HSET', attempts, attempt, '1') end
redis.call('EXPIRE', attempts, attempts_ttl_s)
return {current, 1}
