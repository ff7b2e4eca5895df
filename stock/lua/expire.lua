-- expire: sets the TTL of hot orders whose state has reached SQL. A pending order has none.
--
-- KEYS  the records, one an order
-- ARGV  ttl_s, then the state that SQL holds, one an order
-- Returns how many TTLs were set. Idempotent: a TTL that is set already is not extended. A record that moved on since keeps living.
local ttl_s = ARGV[1]
local n = 0
for i, record in ipairs(KEYS) do
  local state = redis.call('HGET', record, 'state')
  if state and state ~= '0' and state == ARGV[i + 1] and redis.call('TTL', record) == -1 then
    n = n + redis.call('EXPIRE', record, ttl_s)
  end
end
return n
