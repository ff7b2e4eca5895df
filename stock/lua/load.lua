-- load: makes the counters that are missing, from SQL and from what the journal holds beyond SQL's offset.
--
-- KEYS  epoch_key   string, the number of the open epoch
--       journal     stream of the epoch
--       stock       hash of the epoch, SKU -> units left
--       trimmed     string, the id below which entries were trimmed away
-- ARGV  epoch, offset (the last id that SQL's stock includes), entries_max, then pairs: sku, units in SQL
-- Returns {"OK"}      every counter is there; one that was there before is not touched (I2)
--         {"EPOCH"}   the epoch is not the open one: nothing was done
--         {"STALE"}   entries after the offset were trimmed: read SQL again
--         {"FAR"}     more than entries_max entries after the offset: wait for the flusher
-- Idempotent.
local epoch_key, journal, stock, trimmed = unpack(KEYS)
local epoch, offset, entries_max = unpack(ARGV, 1, 3)
local first_pair = 4

local function less(a, b)
  local a_ms, a_seq = string.match(a, '^(%d+)-(%d+)$')
  local b_ms, b_seq = string.match(b, '^(%d+)-(%d+)$')
  a_ms, a_seq, b_ms, b_seq = tonumber(a_ms), tonumber(a_seq), tonumber(b_ms), tonumber(b_seq)
  return a_ms < b_ms or (a_ms == b_ms and a_seq < b_seq)
end

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
if less(offset, redis.call('GET', trimmed) or '0-0') then return { 'STALE' } end

local units = {}
for i = first_pair, #ARGV, 2 do
  if redis.call('HEXISTS', stock, ARGV[i]) == 0 then units[ARGV[i]] = tonumber(ARGV[i + 1]) end
end
if next(units) == nil then return { 'OK' } end

local entries = redis.call('XRANGE', journal, '(' .. offset, '+', 'COUNT', tonumber(entries_max) + 1)
if #entries > tonumber(entries_max) then return { 'FAR' } end
for _, entry in ipairs(entries) do
  for sku, delta in pairs(deltas_of(entry[2])) do
    if units[sku] then units[sku] = units[sku] + delta end
  end
end
for sku, n in pairs(units) do
  redis.call('HSETNX', stock, sku, string.format('%d', n))
end
return { 'OK' }
