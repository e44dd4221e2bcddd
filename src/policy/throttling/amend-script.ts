import { prelude, script } from './limit-scripts';

/**
 * Corrects what is stored, after the fact.
 *
 * `ARGV[1]`: JSON list of `[key, "refund-window", weight, atMs, windowMs]` (one request failed that was admitted at `atMs`),
 * `[key, "refund-plan", weight, atMs, costMicros]`, `[key, "settle-window", requests, windowMs, unitMs, ages]` (this
 * node admitted requests so many milliseconds ago without asking), `[key, "settle-plan", debtMicros, mostMicros, used]`,
 * `[key, "tell-window", requests, windowMs, unitMs, times, node]` (Redis itself granted a request to this node at each of these
 * times), `[key, "tell-plan", used, age]` (so many milliseconds ago it counted so many on that day). `ARGV[2]` as in the decision. What
 * is told twice counts once; a refund and a settlement are sent once. Answers the time in ms.
 */
export const amendScript = script(`${prelude}
local function times(w)
  local list, at, t = {}, 1, w.oldest
  if w.count > 0 then list[1] = t end
  for i = 2, w.count do
    local d
    d, at = delta(w.log, at)
    t = t + d
    list[i] = t
  end
  return list
end

local function fromTimes(list, unit)
  local log = {}
  for i = 2, #list do log[i - 1] = encoded(list[i] - list[i - 1]) end
  return {oldest = list[1], newest = list[#list], count = #list, unit = unit, log = table.concat(log)}
end

local function store(key, w, span)
  if w.count == 0 then
    redis.call('DEL', key)
  else
    redis.call('SET', key, packWindow(w), 'PX', span + w.unit)
  end
end

for _, call in ipairs(input) do
  local k, what = call[1] + 1, call[2]
  local value = redis.call('GET', KEYS[k])
  if what == 'refund-window' and value then
    local w = window(value, call[5], 1)
    local list, at = times(w), ceil(call[4] / w.unit)
    for _ = 1, call[3] do
      -- Where it cannot be found (the clock went back), the oldest goes: a window that forgets that one is never too wide.
      local found = 1
      for i = 1, #list do if list[i] == at then found = i end end
      table.remove(list, found)
    end
    store(KEYS[k], #list > 0 and fromTimes(list, w.unit) or {count = 0}, call[5])
  elseif what == 'refund-plan' and value then
    local p = plan(value)
    p.tat = p.tat - call[5]
    if p.tat < 0 then p.tat = 0 end
    if floor(call[4] / 86400000) == day then p.used = p.used > call[3] and p.used - call[3] or 0 end
    redis.call('SET', KEYS[k], packPlan(p), 'PX', tostring(dayLeft + 1000))
  elseif what == 'settle-window' then
    local w = window(value, call[4], call[5])
    local list = times(w)
    for _, age in ipairs(call[6]) do list[#list + 1] = ceil((ms - age) / w.unit) end
    table.sort(list)
    while #list > call[3] do table.remove(list, 1) end
    if #list > 0 then store(KEYS[k], fromTimes(list, w.unit), call[4]) end
  elseif what == 'settle-plan' then
    local p = plan(value)
    if p.tat < us then p.tat = us end
    p.tat = p.tat + call[3]
    if p.tat > us + call[4] then p.tat = us + call[4] end
    p.used = p.used + call[5]
    redis.call('SET', KEYS[k], packPlan(p), 'PX', tostring(dayLeft + 1000))
  elseif what == 'tell-window' then
    local w = window(value, call[4], call[5])
    local list, known = times(w), {}
    for i = 1, #list do known[list[i]] = (known[list[i]] or 0) + 1 end
    -- Who has told of what was lost: of others the list knows nothing, though they were granted something at the same time.
    local tellers = value and redis.call('GET', KEYS[k] .. '!')
    local isNew = tellers and not string.find(tellers, call[7], 1, true)
    local wasKnown, wasLost = false, false
    for _, time in ipairs(call[6]) do
      local at = ceil((time < ms and time or ms) / w.unit)
      if not isNew and (known[at] or 0) > 0 then
        known[at] = known[at] - 1
        wasKnown = true
      elseif at * w.unit > ms - call[4] then
        list[#list + 1] = at
        wasLost = true
      end
    end
    -- What has left the window was not lost: then others may still stand in the list, and be told once more.
    if wasLost and (isNew or not (tellers or wasKnown)) then
      redis.call('SET', KEYS[k] .. '!', (tellers or '') .. call[7], 'PX', call[4] + w.unit)
    end
    table.sort(list)
    while #list > call[3] do table.remove(list, 1) end
    if #list > 0 then store(KEYS[k], fromTimes(list, w.unit), call[4]) end
  elseif what == 'tell-plan' then
    local p = plan(value)
    if floor((ms - call[4]) / 86400000) == day and p.used < call[3] then
      p.used = call[3]
      redis.call('SET', KEYS[k], packPlan(p), 'PX', tostring(dayLeft + 1000))
    end
  end
end
return ms
`);
