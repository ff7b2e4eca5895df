-- expire: lets the records of orders go whose state has reached SQL. A pending order's record stays.
--
-- KEYS  the records, one an order
-- ARGV  ttl_s, then the state that SQL holds, one an order
-- Returns how many records will expire. Idempotent. A record that moved on since keeps living.
local ttl_s = ARGV[1]
local n = 0
for i, record in ipairs(KEYS) do
  local state = redis.call('HGET', record, 'state')
  if state and state ~= '0' and state == ARGV[i + 1] then
    n = n + redis.call('EXPIRE', record, ttl_s)
  end
end
return n
