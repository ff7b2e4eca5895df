-- expire: sets the TTL of hot orders that SQL holds in the same state. A pending order has none.
--
-- KEYS  the hot orders
-- ARGV  ttl_s, then the state that SQL holds, one an order
-- Returns how many TTLs were set. Idempotent: a TTL that is set already is not extended. A hot order in another state by now is not changed.
local ttl_s = ARGV[1]
local n = 0
for i, hot_order in ipairs(KEYS) do
  local state = redis.call('HGET', hot_order, 'state')
  if state and state ~= '0' and state == ARGV[i + 1] and redis.call('TTL', hot_order) == -1 then
    n = n + redis.call('EXPIRE', hot_order, ttl_s)
  end
end
return n
