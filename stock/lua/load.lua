-- load: makes the counters that are missing, from SQL and from what the journal holds beyond SQL's offset. One call reads at most entries_max
-- entries, so that it blocks Redis only briefly. If there are more, it writes nothing and returns the units up to the last entry that it read,
-- for the next call. Entries never change, so only the last call, which reads to the end and writes, must be atomic.
--
-- KEYS  epoch_key   string, the number of the open epoch
--       journal     stream of the epoch
--       stock       hash of the epoch, SKU -> units left
--       trimmed     string, the id of the last entry that was trimmed away
--       drops       string, how often counters were dropped because SQL's stock was changed beside the journal
-- ARGV  epoch, offset (the last id that the units include), entries_max, drops before SQL was read, then pairs: sku, units at the offset
-- Returns {"OK"}      every counter is there; one that was there before is not touched (I2)
--         {"MORE", offset, sku, units, ...}   nothing was written: call again with these. SKUs that have a counter are left out
--         {"EPOCH"}   the epoch is not the open one: nothing was done
--         {"STALE"}   entries after the offset were trimmed, or counters were dropped: read SQL again
-- Idempotent.
local epoch_key, journal, stock, trimmed, drops = unpack(KEYS)
local epoch, offset, entries_max, drops_before = ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4]
local first_pair = 5

-- The lowest and the highest delta, and the most deltas, of each kind of entry that has some: MaxQuantity and MaxLines of package
-- order, and what AdjustStock accepts.
local kinds = { R = { -1000, -1, 100 }, L = { 1, 1000, 100 }, B = { 1, 1000, 100 }, A = { -1000000000, 1000000000, 1 } }

-- The deltas of an entry, SKU -> units. None of an entry that the flusher refuses (journal/entry_read.go): SQL's stock never changes by it.
local function deltas_of(fields)
  local f, out, n = {}, {}, 0
  for i = 1, #fields, 2 do f[fields[i]] = fields[i + 1] end
  local kind, id = kinds[f.kind], f.order or ''
  local id_ok = f.kind == 'A' and #id > 0 or #id == 26 and not string.find(id, '[^0-9A-HJKMNP-TV-Z]')
  if not kind or not id_ok or not string.find(f.time or '', '^%d+$') or #f.time > 14 then return {} end
  for delta in string.gmatch((f.deltas or '') .. ',', '([^,]*),') do
    local sku, text = string.match(delta, '^(%w[%w_.-]*):(-?%d+)$')
    local units = tonumber(text or '')
    if not units or string.format('%d', units) ~= text or units < kind[1] or units > kind[2] then return {} end
    out[sku] = (out[sku] or 0) + units
    n = n + 1
  end
  if n > kind[3] then return {} end
  return out
end

if redis.call('GET', epoch_key) ~= epoch then return { 'EPOCH' } end
if less(offset, redis.call('GET', trimmed) or '0-0') or (redis.call('GET', drops) or '0') ~= drops_before then return { 'STALE' } end

local units = {}
for i = first_pair, #ARGV, 2 do
  if redis.call('HEXISTS', stock, ARGV[i]) == 0 then units[ARGV[i]] = tonumber(ARGV[i + 1]) end
end
if next(units) == nil then return { 'OK' } end

local entries = redis.call('XRANGE', journal, '(' .. offset, '+', 'COUNT', entries_max + 1)
local more = #entries > entries_max
for i = 1, math.min(#entries, entries_max) do
  for sku, delta in pairs(deltas_of(entries[i][2])) do
    if units[sku] then units[sku] = units[sku] + delta end
  end
end
if more then
  local reply = { 'MORE', entries[entries_max][1] }
  for sku, n in pairs(units) do
    reply[#reply + 1] = sku
    reply[#reply + 1] = string.format('%d', n)
  end
  return reply
end
for sku, n in pairs(units) do
  redis.call('HSETNX', stock, sku, string.format('%d', n))
end
return { 'OK' }
