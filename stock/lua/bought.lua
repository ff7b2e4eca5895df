-- bought: counts what a customer ordered according to SQL, and Redis has lost, or never had because it was unavailable, in the customer's window.
--
-- KEYS  bought       of the customer, see unpaid.lua
--       then of each order, oldest first:
--       hot_order    hash of the order
--       rolled_back  string, set once its stock was given back
-- ARGV  of each order: order_id, units ("SKU:UNITS,..." of all its SKUs), left_s (seconds until its window ends, if it is the first in it; at least 1)
-- Returns {"OK"}
-- An order is passed over if it counts already, if Redis holds it (then it counted when it was reserved), if its stock was given back since SQL was
-- read, if the window begins later (an earlier window counted it), or if the window is one of an older version.
-- Idempotent: what an order counted is in bought.
local bought = bought_of(KEYS[1])
local args_each, keys_each = 3, 2

for o = 0, (#KEYS - 1) / keys_each - 1 do
  local hot_order, rolled_back = unpack(KEYS, o * keys_each + 2, o * keys_each + 3)
  local order_id, units, left_s = unpack(ARGV, o * args_each + 1, o * args_each + args_each)
  local begin, counted = unpack(redis.call('HMGET', bought, ':begin', ':' .. order_id))
  local in_window = begin and begin <= order_id or not begin and redis.call('EXISTS', bought) == 0
  if in_window and not counted and redis.call('EXISTS', hot_order, rolled_back) == 0 then
    bought_count(bought, order_id, units, left_s)
  end
end
return { 'OK' }
