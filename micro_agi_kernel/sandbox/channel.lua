-- Channels: values handed from one coroutine to another, in order, with or without a buffer between.
--
-- What a tool holds is an empty table. What we know of it is its metatable, which no tool can reach. A coroutine that
-- cannot go on leaves an offer in the queue of each channel in question; who comes later takes one.

local queue, scheduler, values = ...

local error, ipairs, math, next, rawequal, rawget, rawlen, setmetatable, type =
  error, ipairs, math, next, rawequal, rawget, rawlen, setmetatable, type
local metatable_of = debug.getmetatable
local KIND = values.KIND

local NIL = {} -- a nil in a buffer
local CLOSED = "send on closed channel"
local HERE = "cannot wait for a channel here: no other coroutine can run inside this callback "
  .. "(table.sort, string.gsub ...)"

local methods = {}
local function frozen() error("a channel cannot be changed", 2) end

-- An object for tools; gives `known`, its metatable.
local function make(kind, known)
  known[KIND], known.__metatable, known.__name = kind, kind, kind
  known.object = setmetatable({}, known)
  return known
end

local function new(size)
  return make("channel", {
    __index = methods, __newindex = frozen,
    size = size, buffer = queue.new(), senders = queue.new(), receivers = queue.new(), closed = false,
    feed = nil, -- the timer of it, if it has one: see timers.lua
  })
end

local function known(object, kind)
  local meta = type(object) == "table" and metatable_of(object)
  return meta and rawget(meta, KIND) == kind and meta or nil
end

local function channel_of(object, call)
  return known(object, "channel") or error("not a channel: call it as " .. call, 3)
end

-- Ends the wait that an offer belongs to; its other offers are withdrawn.
local function take_offer(offer, value, ok)
  local wait = offer.wait
  wait.offer, wait.value, wait.ok = offer, value, ok
  scheduler.wake(wait)
  for _, each in ipairs(wait.offers) do queue.remove(each.queue, each.place) end
end

local function can_receive(channel)
  return channel.buffer.size > 0 or channel.senders.size > 0 or channel.closed
end

-- The value, and whether it is one: false when the channel is closed. Only if it can be received.
local function receive(channel)
  local buffer, sender = channel.buffer, queue.first(channel.senders)
  if buffer.size == 0 then
    if not sender then return nil, false end
    take_offer(sender, sender.value, true)
    return sender.value, true
  end
  local value = queue.pop(buffer)
  if sender then
    queue.push(buffer, sender.value == nil and NIL or sender.value)
    take_offer(sender, sender.value, true)
  elseif buffer.size == 0 and channel.feed then
    channel.feed.drained()
  end
  if rawequal(value, NIL) then value = nil end
  return value, true
end

local function can_send(channel)
  return channel.closed or channel.receivers.size > 0 or channel.buffer.size < channel.size
end

-- False when the channel is closed. Only if it can be sent to.
local function send(channel, value)
  if channel.closed then return false end
  local receiver = queue.first(channel.receivers)
  if receiver then
    take_offer(receiver, value, true)
  else
    queue.push(channel.buffer, value == nil and NIL or value)
  end
  return true
end

local function close(channel)
  channel.closed = true
  for _, waiting in ipairs({ channel.senders, channel.receivers }) do
    local offer = queue.first(waiting)
    while offer do
      take_offer(offer, nil, false)
      offer = queue.first(waiting)
    end
  end
end

-- Where tasks cannot run, only a timer can feed a channel.
local function hopeless(wait)
  for _, offer in ipairs(wait.offers) do
    local feed = not offer.sends and offer.channel.feed
    if feed and feed.runs() then return false end
  end
  return true
end

local function offer_to(channel, sends, value)
  return { channel = channel, queue = sends and channel.senders or channel.receivers, sends = sends, value = value }
end

-- Waits until one of the offers is taken; gives the wait, which knows what came of it.
local function wait_for(offers)
  local wait = { offers = offers, hopeless = hopeless, over = false, offer = false, value = false, ok = false }
  for _, offer in ipairs(offers) do
    offer.wait, offer.place = wait, queue.push(offer.queue, offer)
  end
  if not scheduler.block(wait) then
    for _, offer in ipairs(offers) do queue.remove(offer.queue, offer.place) end
    error(HERE, 3)
  end
  if wait.offer.sends and not wait.ok then error(CLOSED, 3) end
  return wait
end

function methods.send(self, value)
  local channel = channel_of(self, "ch:send(value)")
  if not can_send(channel) then
    wait_for({ offer_to(channel, true, value) })
  elseif not send(channel, value) then
    error(CLOSED, 2)
  end
  return true
end

function methods.receive(self)
  local channel = channel_of(self, "ch:receive()")
  if can_receive(channel) then return receive(channel) end
  local wait = wait_for({ offer_to(channel, false) })
  return wait.value, wait.ok
end

function methods.close(self)
  local channel = channel_of(self, "ch:close()")
  if channel.feed then channel.feed.stop() else close(channel) end
end

function methods.case_send(self, value)
  return make("channel case", { channel = channel_of(self, "ch:case_send(value)"), sends = true, value = value }).object
end

function methods.case_receive(self)
  return make("channel case", { channel = channel_of(self, "ch:case_receive()"), sends = false }).object
end

-- The cases in their order; raises the error of `select` for what is none.
local function cases_of(list)
  local cases, keys = {}, rawlen(list)
  for index = 1, keys do
    cases[index] = known(rawget(list, index), "channel case") or error("case " .. index
      .. " of channel.select is not a case: make it with ch:case_receive() or ch:case_send(value)", 3)
  end
  for key in next, list do
    if key ~= "default" then keys = keys - 1 end
  end
  if keys ~= 0 then error("channel.select takes a list of cases and the field 'default'", 3) end
  return cases
end

local function perform(case)
  if not case.sends then return receive(case.channel) end
  return case.value, send(case.channel, case.value) or error(CLOSED, 3)
end

local library = {} -- what a tool sees as `channel`

function library.new(size)
  local whole = size == nil and 0 or math.type(size) and math.tointeger(size)
  if not whole or whole < 0 then error("channel.new takes the size of the buffer: an integer, 0 or more", 2) end
  return new(whole).object
end

function library.select(list, default)
  if type(list) ~= "table" then error("channel.select takes a list of cases", 2) end
  local cases, offers = cases_of(list), {}
  for index, case in ipairs(cases) do
    if (case.sends and can_send or can_receive)(case.channel) then
      local value, ok = perform(case)
      return { channel = case.channel.object, value = value, ok = ok }
    end
    offers[index] = offer_to(case.channel, case.sends, case.value)
  end
  if default == true or rawget(list, "default") == true then return { default = true, ok = true } end
  if #cases == 0 then error("channel.select without a case would wait forever", 2) end
  local wait = wait_for(offers)
  return { channel = wait.offer.channel.object, value = wait.value, ok = wait.ok }
end

return {
  library = library, new = new, close = close, can_send = can_send, send = send,
}
