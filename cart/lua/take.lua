-- take: takes everything out of a guest's cart, to be put into a customer's.
--
-- KEYS  cart     hash SKU -> units
--       moving   hash SKU -> units that are on their way, and ":move" -> the name of the move
-- ARGV  move (a new name), ttl_s (of moving)
-- Returns {} if there is nothing to move, or {move, SKU, units, ...}: what is on its way already, or else what was in the cart. Idempotent until `moved`.
local cart, moving = KEYS[1], KEYS[2]
local move, ttl_s = unpack(ARGV)

if redis.call('EXISTS', moving) == 0 then
  local items = redis.call('HGETALL', cart)
  if not items[1] then return {} end
  for i = 1, #items, 2 do redis.call('HSET', moving, items[i], items[i + 1]) end
  redis.call('DEL', cart)
  redis.call('HSET', moving, ':move', move)
  redis.call('EXPIRE', moving, ttl_s)
end
local reply = { redis.call('HGET', moving, ':move') }
local fields = redis.call('HGETALL', moving)
for i = 1, #fields, 2 do
  if fields[i] ~= ':move' then
    reply[#reply + 1] = fields[i]
    reply[#reply + 1] = fields[i + 1]
  end
end
return reply
