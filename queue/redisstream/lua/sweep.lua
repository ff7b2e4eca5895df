-- sweep: forgets consumers of a group that are gone.
--
-- KEYS[1]  the stream
-- ARGV[1]  the group
-- ARGV[2]  milliseconds without a sign of life after which a consumer counts as gone
--
-- Returns how many were forgotten. A consumer with pending entries stays, because they would go with it; they are
-- claimed by others first. One that was only asleep comes into being again with its next read. It is one script so
-- that no entry becomes pending between the look and the deletion. Idempotent.
local key, group, idle = KEYS[1], ARGV[1], tonumber(ARGV[2])
local n = 0
for _, fields in ipairs(redis.call('XINFO', 'CONSUMERS', key, group)) do
  local consumer = {}
  for i = 1, #fields, 2 do
    consumer[fields[i]] = fields[i + 1]
  end
  if consumer['pending'] == 0 and consumer['idle'] > idle then
    redis.call('XGROUP', 'DELCONSUMER', key, group, consumer['name'])
    n = n + 1
  end
end
return n
