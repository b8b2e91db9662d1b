-- Every script begins with this: it reads the state of the log, and begins a new epoch where the log cannot be vouched for.
--
-- KEYS  the stream, the hash beside it
-- ARGV  1    an epoch, in case that a new one begins
--       2-4  the newest position that the caller has seen: epoch, n, word ("0" each when it has seen none)
--
-- The hash: epoch; n and word of the newest entry; gone and goneword, those of the newest that was trimmed; since, the time
-- of the oldest that is held, in ms. The entries of the stream have the ids gone+1 to n, without a gap, so its length tells
-- whether it is the stream that belongs to the hash. Epochs and words stay strings: they are only compared.
local log, meta = KEYS[1], KEYS[2]
local v = redis.call('HMGET', meta, 'epoch', 'n', 'word', 'gone', 'goneword', 'since')
local epoch, n, word, gone, goneword, since = v[1], tonumber(v[2]), v[3], tonumber(v[4]), v[5], tonumber(v[6])

-- whole prints a number that Lua would print with an exponent.
local function whole(k) return string.format('%.0f', k) end

-- gave tells whether the log gave out the position k-w in this epoch; nil when that was trimmed and nobody knows.
local function gave(k, w)
  if k > n then return false end
  if k == n then return w == word end
  if k == gone then return w == goneword end
  if k < gone then return nil end
  local id = whole(k) .. '-' .. w
  return #redis.call('XRANGE', log, id, id) == 1
end

-- timeof returns when an entry, as XRANGE returns it, was appended: the last number of its header.
local function timeof(entry) return tonumber(string.match(entry[2][2], '%d+$')) end

-- trim forgets all entries up to k, which is held.
local function trim(k)
  local last = redis.call('XRANGE', log, whole(k), whole(k), 'COUNT', 1)[1]
  redis.call('XTRIM', log, 'MINID', whole(k + 1))
  local first = redis.call('XRANGE', log, '-', '+', 'COUNT', 1)[1]
  gone, goneword, since = k, string.match(last[1], '%d+$'), first and timeof(first) or 0
  redis.call('HSET', meta, 'gone', whole(gone), 'goneword', goneword, 'since', whole(since))
end

local lost = not (epoch and n and word and gone and goneword and since) or redis.call('XLEN', log) ~= n - gone
if not lost and ARGV[2] == epoch then
  lost = gave(tonumber(ARGV[3]), ARGV[4]) == false
end
if lost then
  epoch, n, word, gone, goneword, since = ARGV[1], 0, '0', 0, '0', 0
  redis.call('UNLINK', log)
  redis.call('HSET', meta, 'epoch', epoch, 'n', 0, 'word', word, 'gone', 0, 'goneword', goneword, 'since', 0)
end
