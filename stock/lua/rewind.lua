-- rewind: undoes what a script wrote beside an entry that SQL never applied: its epoch was closed in SQL, by another Redis, before that.
-- The entries of an epoch are rewound oldest first, before the next epoch opens. Counters need nothing: they are SQL's then.
--
-- KEYS  hot_order    hash of the order
--       rolled_back  string, set once the order's stock was given back
--       adjusted     string, the record of the adjustment: entry id, SKU and delta
--       unpaid, unpaid_notes, unpaid_counts: see unpaid.lua
-- ARGV  kind ("R", "S", "L", "B" or "A"), entry_id, order_id, units ("SKU:UNITS,...", the deltas of the entry)
-- Returns nothing. Idempotent: what a later step wrote to the hot order stays.
local hot_order, rolled_back, adjusted, unpaid, unpaid_notes, unpaid_counts = unpack(KEYS)
local kind, entry_id, order_id, units = unpack(ARGV)

if kind == 'R' then
  local reserved, idempotency, bought, deltas, state = unpack(redis.call('HMGET', hot_order, 'reserved', 'marker', 'bought', 'deltas', 'state'))
  if reserved ~= entry_id then return end
  -- It must not count towards its customer's limits any more: they would refuse the retry. A release has returned the units of one that
  -- is CANCELLED. The key has the hash tag of all keys.
  unpaid_remove(unpaid, unpaid_notes, unpaid_counts, order_id)
  if bought and state ~= '2' then bought_return(bought, order_id, (string.gsub(deltas, ':%-', ':'))) end
  redis.call('DEL', hot_order, rolled_back)
  -- Its key is free again: the customer's retry makes an order that exists. It has the hash tag of all keys.
  if idempotency then redis.call('DEL', idempotency) end
elseif kind == 'S' then
  if redis.call('HGET', hot_order, 'settled') == entry_id then redis.call('HDEL', hot_order, 'settled') end
  if redis.call('HGET', hot_order, 'entry') == entry_id then
    redis.call('HSET', hot_order, 'state', '0', 'entry', redis.call('HGET', hot_order, 'reserved'))
    redis.call('PERSIST', hot_order)
  end
elseif kind == 'L' then
  if redis.call('GET', rolled_back) == entry_id then redis.call('DEL', rolled_back) end
  if redis.call('HGET', hot_order, 'entry') == entry_id then
    local reserved, settled, bought, counted = unpack(redis.call('HMGET', hot_order, 'reserved', 'settled', 'bought', 'counted'))
    -- The release returned them. The key has the hash tag of all keys. An older version did not record what the order counted.
    if bought then bought_again(bought, order_id, counted or units) end
    redis.call('HSET', hot_order, 'state', settled and '1' or '0', 'entry', settled or reserved)
    redis.call('HDEL', hot_order, 'reason')
    redis.call('PERSIST', hot_order)
  end
elseif kind == 'B' then
  if redis.call('GET', rolled_back) ~= entry_id then return end
  redis.call('DEL', rolled_back)
  -- The next restock returns the units again. Without the hot order its customer is not known; the next restock then returns nothing to a window
  -- that records what each order counted.
  local bought, counted = unpack(redis.call('HMGET', hot_order, 'bought', 'counted'))
  if bought then bought_again(bought, order_id, counted or units) end
elseif kind == 'A' then
  local seen = redis.call('GET', adjusted)
  if seen and string.match(seen, '^(%S+) ') == entry_id then redis.call('DEL', adjusted) end
end
