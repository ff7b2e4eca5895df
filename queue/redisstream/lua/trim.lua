-- trim: drops from a topic's stream what every group has dealt with.
--
-- KEYS[1]  the stream
-- ARGV[1]  most nodes of the stream that one call drops, so that it stays short
-- ARGV[2…] the groups of the topic, all of them
--
-- Returns how many entries were dropped. A group that does not exist yet has dealt with nothing, so nothing is
-- dropped. A group that exists has dealt with all before its oldest pending entry, or before its last delivered one.
-- It is one script because the groups and their pending entries must be of one moment: between two commands Redis
-- could restart with older data. Idempotent.
local function parse(id)
  local ms, seq = string.match(id, '^(%d+)-(%d+)$')
  return tonumber(ms), tonumber(seq)
end

local function less(a, b)
  local ams, aseq = parse(a)
  local bms, bseq = parse(b)
  return ams < bms or (ams == bms and aseq < bseq)
end

local key, limit = KEYS[1], ARGV[1]
if redis.call('EXISTS', key) == 0 then
  return 0
end

local delivered = {}
for _, fields in ipairs(redis.call('XINFO', 'GROUPS', key)) do
  local group = {}
  for i = 1, #fields, 2 do
    group[fields[i]] = fields[i + 1]
  end
  delivered[group['name']] = group['last-delivered-id']
end

local oldest
for i = 2, #ARGV do
  local mine = delivered[ARGV[i]]
  if not mine then
    return 0
  end
  local pending = redis.call('XPENDING', key, ARGV[i])
  if pending[1] > 0 then
    mine = pending[2]
  end
  if not oldest or less(mine, oldest) then
    oldest = mine
  end
end
if not oldest then
  return 0
end
return redis.call('XTRIM', key, 'MINID', '~', oldest, 'LIMIT', limit)
