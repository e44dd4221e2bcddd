import { createHash } from 'node:crypto';

/** A Lua script and the name under which Redis keeps it. */
export interface Script {
  readonly source: string;
  readonly sha1: string;
}

/** Names a script as Redis does. */
export function script(source: string): Script {
  return { source, sha1: createHash('sha1').update(source).digest('hex') };
}

/*
 * Two kinds of values, both packed, both in a string of their own:
 *
 * Window: a log of the admitted requests, so that it is exact. Header (11 bytes): time of the oldest in units since 1970
 * (6), span from oldest to newest (2), number of requests (2), milliseconds a unit (1); then for each further request the
 * time since the one before it in one byte (< 224 units), two (< 8,160) or three. A request at `t` is counted while
 * `now < t + window`: no span of that length holds more than the limit, and its place is free at `t + window` sharp.
 * Limits above 32 count in units of 10 ms, rounded up: never one too many, a place is free up to 10 ms late. (To the
 * millisecond, 50 requests in a minute carry 72 bytes of information alone, and 100 carry 134; with the header, the key and
 * its entries in Redis' tables that would be over 200 bytes.)
 *
 * Plan (13 bytes): the theoretical arrival time of the token bucket (GCRA) in microseconds (7), the day of the quota (2),
 * the requests of that day (4).
 *
 * When Redis' clock goes back, what is stored lies in the future. It is pulled back so that the newest request happened
 * now: all of it still counts (no double), and nothing counts longer than its window from now on (no lock-out). That is
 * stored even where the request is refused: else each refusal would begin the wait anew.
 */
export const prelude = `
local unpack_, pack, byte, sub, rep = struct.unpack, struct.pack, string.byte, string.sub, string.rep
local floor, ceil, char = math.floor, math.ceil, string.char
local input = cjson.decode(ARGV[1])
local us = tonumber(ARGV[2])
if us == 0 then
  local time = redis.call('TIME')
  us = time[1] * 1000000 + time[2]
end
local ms = floor(us / 1000)
local day = floor(ms / 86400000)
local dayLeft = (day + 1) * 86400000 - ms
local values = redis.call('MGET', unpack(KEYS))

local function delta(log, at)
  local b = byte(log, at)
  if b < 224 then return b, at + 1 end
  if b < 255 then return (b - 224) * 256 + byte(log, at + 1) + 224, at + 2 end
  return byte(log, at + 1) * 256 + byte(log, at + 2), at + 3
end

local function encoded(d)
  if d < 224 then return char(d) end
  if d < 8160 then
    d = d - 224
    return char(224 + floor(d / 256), d % 256)
  end
  return char(255, floor(d / 256), d % 256)
end

local function window(value, span, unit)
  if not value then
    return {oldest = 0, newest = 0, count = 0, unit = unit, log = '', moved = false, cost = 0, refused = false}
  end
  local oldest, length, count, unit, at = unpack_('>I6I2I2I1', value)
  local newest, current = oldest + length, ceil(ms / unit)
  local moved = newest > current
  if moved then
    oldest = oldest - (newest - current)
    newest = current
  end
  local gone = ms - span
  while count > 0 and oldest * unit <= gone do
    count = count - 1
    if count > 0 then
      local d
      d, at = delta(value, at)
      oldest = oldest + d
    end
  end
  local log = count > 1 and sub(value, at) or ''
  -- All fields at once: a table that grows later is built twice.
  return {oldest = oldest, newest = newest, count = count, unit = unit, log = log, moved = moved, cost = 0, refused = false}
end

local function admit(w, weight)
  local current = ceil(ms / w.unit)
  if w.count == 0 then
    w.oldest = current
    w.log = weight > 1 and rep('\\0', weight - 1) or ''
  else
    w.log = w.log .. encoded(current - w.newest)
    if weight > 1 then w.log = w.log .. rep('\\0', weight - 1) end
  end
  w.newest = current
  w.count = w.count + weight
end

local function packWindow(w)
  return pack('>I6I2I2I1', w.oldest, w.newest - w.oldest, w.count, w.unit) .. w.log
end

local function plan(value)
  if not value then
    return {tat = 0, day = day, used = 0, moved = false, cost = 0, refused = false, over = false}
  end
  local tat, ofDay, used = unpack_('>I7I2I4', value)
  if ofDay < day then used = 0 end
  return {tat = tat, day = day, used = used, moved = ofDay > day, cost = 0, refused = false, over = false}
end

local function packPlan(p)
  return pack('>I7I2I4', p.tat, p.day, p.used)
end
`;

/**
 * Decides any number of requests, one after the other.
 *
 * `ARGV[1]`: `[rules, calls]` as JSON; a rule is a list of limits, `[1, requests, windowMs, unitMs]` or
 * `[2, burst, microsPerToken, perDay]`; `calls` is flat: rule, weight and one index into `KEYS` for each limit.
 * `ARGV[2]`: microseconds since 1970, for tests; 0 (always, in production) takes Redis' clock.
 * Answers flat integers: the time in ms, then for each call and report two: `remaining` (where refused,
 * `-1 - remaining`) and milliseconds (where refused, until the request would pass; else until more becomes available).
 * A plan gives one report for its rate and one for its quota, where it has them. Behind the reports stand the indices of
 * the keys that Redis does not have.
 */
export const decideScript = script(`${prelude}
local rules, calls = input[1], input[2]
local states, lives, touched, here, missing = {}, {}, {}, {}, {}
local out, o = {ms}, 1
local c, last = 1, #calls
local dayLife, texts = tostring(dayLeft + 1000), {}
while c <= last do
  local rule, weight = rules[calls[c] + 1], calls[c + 1]
  c = c + 1
  local n, passes = #rule, true
  for i = 1, n do
    local limit, k = rule[i], calls[c + i] + 1
    local s, most = states[k], limit[2]
    local w = weight < most and weight or most
    if limit[1] == 1 then
      if not s then
        if not values[k] then missing[#missing + 1] = k - 1 end
        s = window(values[k], limit[3], limit[4])
        states[k] = s
        -- As text, made once: Redis writes out a number anew each time it is handed one.
        local life = limit[3] + s.unit
        texts[life] = texts[life] or tostring(life)
        lives[k] = texts[life]
      end
      local refused = s.count + w > most
      s.cost, s.refused = w, refused
      if refused then passes = false end
    else
      if not s then
        if not values[k] then missing[#missing + 1] = k - 1 end
        s = plan(values[k])
        states[k] = s
        lives[k] = dayLife
      end
      if most > 0 then
        local full, tat = us + most * limit[3], s.tat
        if tat < us then
          tat = us
        elseif tat > full then
          tat = full
          s.moved = true
        end
        local cost = w * limit[3]
        local refused = tat + cost > full
        s.tat, s.cost, s.refused = tat, cost, refused
        if refused then passes = false end
      end
      if limit[4] > 0 then
        s.over = s.used + weight > limit[4]
        if s.over then passes = false end
      end
    end
    here[i] = s
    if s.moved then touched[k] = true end
  end
  local takes = passes and weight > 0
  for i = 1, n do
    local limit, s = rule[i], here[i]
    local most = limit[2]
    if takes then touched[calls[c + i] + 1] = true end
    if limit[1] == 1 then
      if takes then admit(s, s.cost) end
      local left = most - s.count
      if s.refused then
        local at, t = 1, s.oldest
        for _ = 2, s.cost - left do
          local d
          d, at = delta(s.log, at)
          t = t + d
        end
        out[o + 1] = left > 0 and -1 - left or -1
        out[o + 2] = t * s.unit + limit[3] - ms
      else
        out[o + 1] = left
        out[o + 2] = s.count > 0 and s.oldest * s.unit + limit[3] - ms or 0
      end
      o = o + 2
    else
      if takes then s.used = s.used + weight end
      if most > 0 then
        if takes then s.tat = s.tat + s.cost end
        local room = us + most * limit[3] - s.tat
        local left = floor(room / limit[3])
        if s.refused then
          out[o + 1] = -1 - left
          out[o + 2] = ceil((s.cost - room) / 1000)
        else
          out[o + 1] = left
          out[o + 2] = ceil((s.tat - us) / 1000)
        end
        o = o + 2
      end
      if limit[4] > 0 then
        local left = limit[4] - s.used
        if left < 0 then left = 0 end
        out[o + 1] = s.over and -1 - left or left
        out[o + 2] = dayLeft
        o = o + 2
      end
    end
  end
  c = c + n + 1
end
local call = redis.call
for k in pairs(touched) do
  local s = states[k]
  -- Not SET with PX: one option to parse and one argument to copy less is a sixth of a decision.
  call('PSETEX', KEYS[k], lives[k], s.tat and packPlan(s) or packWindow(s))
end
for i = 1, #missing do out[o + i] = missing[i] end
return out
`);

/**
 * Says that this node lives and counts those that do: `KEYS[1]` the set of nodes, `KEYS[2]` a mark in Redis' memory,
 * `ARGV[1]` the node's name, `ARGV[2]` how many milliseconds its word holds, `ARGV[3]` the mark to set where none is.
 * Answers the number of nodes and the mark: another mark than before says that Redis has forgotten everything meanwhile.
 * It writes, so it fails where a decision would (a replica, no memory left).
 */
export const pulseScript = script(`
local time = redis.call('TIME')
local ms = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', ms - ARGV[2])
redis.call('ZREMRANGEBYSCORE', KEYS[1], ms + ARGV[2], '+inf')
redis.call('ZADD', KEYS[1], ms, ARGV[1])
redis.call('PEXPIRE', KEYS[1], ARGV[2])
redis.call('SET', KEYS[2], ARGV[3], 'NX')
redis.call('PEXPIRE', KEYS[2], 172800000)
return {redis.call('ZCARD', KEYS[1]), redis.call('GET', KEYS[2])}
`);
