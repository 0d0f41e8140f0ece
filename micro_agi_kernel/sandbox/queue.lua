-- First in, first out; items may also be taken from the middle. Each operation takes constant time on average.

local function new() return { first = 1, last = 0, size = 0 } end

-- Gives the place of the item, for `remove`. An item is never nil.
local function push(queue, item)
  local place = queue.last + 1
  queue[place] = item -- before the counters: this is what fails when memory is short
  queue.last, queue.size = place, queue.size + 1
  return place
end

local function remove(queue, place)
  if queue[place] == nil then return end
  queue[place] = nil
  queue.size = queue.size - 1
  if queue.size == 0 then queue.first, queue.last = 1, 0 end
end

-- The oldest item, which stays, and its place; nil when there is none.
local function first(queue)
  if queue.size == 0 then return nil end
  local place = queue.first
  while queue[place] == nil do place = place + 1 end
  queue.first = place
  return queue[place], place
end

local function pop(queue)
  local item, place = first(queue)
  if place then remove(queue, place) end
  return item
end

return { new = new, push = push, remove = remove, first = first, pop = pop }
