-- put: puts what was taken out of a guest's cart into a customer's, as far as it fits.
--
-- KEYS  cart    hash SKU -> units
--       moved   string: what the move left out, "SKU:UNITS,..."
-- ARGV  units_max (of one SKU), lines_max (SKUs), ttl_s (of both keys), then pairs: sku, units
-- Returns what did not fit, "SKU:UNITS,...". Idempotent by the key moved: the move is made once, and returns the same again.
local cart, moved = KEYS[1], KEYS[2]
local units_max, lines_max, ttl_s = unpack(ARGV, 1, 3)

local before = redis.call('GET', moved)
if before then return before end
local lines, changed, left_out = redis.call('HLEN', cart), false, {}
for i = 4, #ARGV, 2 do
  local sku, units = ARGV[i], tonumber(ARGV[i + 1])
  local there = tonumber(redis.call('HGET', cart, sku) or '0')
  local fits = math.max(0, math.min(units, tonumber(units_max) - there))
  if there == 0 and lines >= tonumber(lines_max) then fits = 0 end
  if fits > 0 then
    if there == 0 then lines = lines + 1 end
    redis.call('HSET', cart, sku, string.format('%d', there + fits))
    changed = true
  end
  if fits < units then left_out[#left_out + 1] = sku .. ':' .. string.format('%d', units - fits) end
end
if changed then redis.call('EXPIRE', cart, ttl_s) end
left_out = table.concat(left_out, ',')
redis.call('SET', moved, left_out, 'EX', ttl_s)
return left_out
