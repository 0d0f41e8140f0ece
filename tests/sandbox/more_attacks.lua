-- Attacks from Lua: what `test_more_attacks.py` runs. A case begins with `--- NAME: HOW IT MUST END`.


-- == the time limit, caught

--- pcall loop: TIMEOUT
while true do pcall(function() while true do end end) end

--- pcall in pcall: TIMEOUT MEMORY_LIMIT
local function f() while true do pcall(f) end end f()

--- xpcall handler that loops: TIMEOUT
xpcall(function() while true do end end, function() while true do end end)

--- xpcall handler that calls itself: TIMEOUT
local function h() return xpcall(error, h) end while true do xpcall(error, h) end

--- error in a handler of an error: TIMEOUT
while true do xpcall(error, function() error() end) end

--- coroutine that catches: TIMEOUT
while true do coroutine.wrap(function() pcall(function() while true do end end) end)() end

--- coroutine.close that catches: TIMEOUT
local function co() local c = coroutine.create(function() local x <close> = setmetatable({}, { __close =
  function() while true do end end }) coroutine.yield() end) coroutine.resume(c) return c end while true do
  pcall(coroutine.close, co()) end

--- caught and then a value: TIMEOUT
pcall(function() while true do end end) return 'still here'

--- caught and then printed: TIMEOUT
pcall(function() while true do end end) print('still here')

--- __close while the limit strikes: TIMEOUT
local x <close> = setmetatable({}, { __close = function() while true do end end }) while true do end

--- __close that revives: TIMEOUT MEMORY_LIMIT
local function f() local x <close> = setmetatable({}, { __close = function() pcall(f) end }) end while true do
  pcall(f) end

--- metamethods that loop: TIMEOUT
local m = {} for _, e in ipairs({ '__eq', '__lt', '__le', '__concat', '__len', '__call', '__unm' }) do m[e] =
  function() while true do end end end local a, b = setmetatable({}, m), setmetatable({}, m) pcall(function()
  return a == b end) return #a

--- goto continue: TIMEOUT
for i = 1, math.huge do goto continue ::continue:: end

--- goto back: TIMEOUT
::top:: goto top

--- repeat: TIMEOUT
repeat until false

--- many small calls: TIMEOUT
local function f() end while true do f() end

--- a loop in __pairs: TIMEOUT
for _ in pairs(setmetatable({}, { __pairs = function() return function() return 1 end end })) do end


-- == C functions, where no hook runs: the kill

--- find, backtracking: TIMEOUT
return ('a'):rep(30000):find(('.-'):rep(8) .. 'b')

--- match, backtracking: TIMEOUT
return ('a'):rep(200):match(('a*'):rep(12) .. 'b')

--- gsub, backtracking: TIMEOUT
return ('a'):rep(100):gsub(('a?'):rep(30) .. ('a'):rep(30) .. 'b', '')

--- gmatch, backtracking: TIMEOUT
for _ in ('a'):rep(200):gmatch(('a*'):rep(12) .. 'b') do end

--- find in a coroutine: TIMEOUT
return coroutine.wrap(function() return ('a'):rep(30000):find(('.-'):rep(8) .. 'b') end)()

--- find in a __close: TIMEOUT
local x <close> = setmetatable({}, { __close = function() return ('a'):rep(30000):find(('.-'):rep(8) .. 'b') end
  })

--- table.move, a huge range: TIMEOUT
return #table.move({}, 1, math.maxinteger - 1, 2)

--- table.move, overflow: value
return (pcall(table.move, {}, 1, math.maxinteger, 2))

--- table.move, an endless table: TIMEOUT
return table.move(setmetatable({}, { __index = function() return 1 end }), 1, 1 << 40, 1, setmetatable({}, {
  __newindex = function() end }))

--- table.concat, an endless table: TIMEOUT MEMORY_LIMIT
return table.concat(setmetatable({}, { __index = function() return '' end }), '', 1, 1e15)

--- table.insert, a false length: TIMEOUT
table.insert(setmetatable({}, { __len = function() return 1 << 50 end }), 1, 'x')

--- table.sort, a false length: MEMORY_LIMIT
table.sort(setmetatable({}, { __len = function() return 1 << 30 end, __index = function() return 1 end }))

--- rep of nothing: TIMEOUT
return #(''):rep(math.maxinteger)


-- == sorting

--- sort, inconsistent: value
local t = {} for i = 1, 2000 do t[i] = i end return (pcall(table.sort, t, function() return true end))

--- sort, by chance: value
local t = {} for i = 1, 2000 do t[i] = i end return (pcall(table.sort, t, function() return math.random() < 0.5
  end)) ~= nil

--- sort, that changes the table: value
local t = {} for i = 1, 2000 do t[i] = i end pcall(table.sort, t, function() t[math.random(2000)] = nil return
  true end) return 1

--- sort, that yields: value
return coroutine.wrap(function() return (pcall(table.sort, { 3, 2, 1 }, function() coroutine.yield() end))
  end)()

--- sort, mixed: UNKNOWN
table.sort({ 1, 'a', {} })

--- sort, NaN: value
local t = {} for i = 1, 500 do t[i] = 0 / 0 end table.sort(t) return #t


-- == memory

--- rep: UNKNOWN MEMORY_LIMIT
return #('x'):rep(1 << 40)

--- rep with a separator: UNKNOWN MEMORY_LIMIT
return #('x'):rep(1e9, ('y'):rep(1e6))

--- rep, caught: TIMEOUT
while true do pcall(string.rep, 'x', 1 << 29) end

--- concat doubling: MEMORY_LIMIT
local s = 'x' while true do s = s .. s end

--- table.concat: MEMORY_LIMIT
local t = {} for i = 1, 1e5 do t[i] = ('x'):rep(1e4) end return #table.concat(t)

--- gsub that grows: MEMORY_LIMIT
return #(('a'):rep(1e6):gsub('a', ('b'):rep(1e4)))

--- closures: MEMORY_LIMIT
local t = {} while true do t[#t + 1] = function() return t end end

--- coroutines: MEMORY_LIMIT
local t = {} while true do local c = coroutine.create(function() coroutine.yield() end) coroutine.resume(c) t[#t
  + 1] = c end

--- error objects: TIMEOUT MEMORY_LIMIT
local t = {} while true do t[#t + 1] = errors.new(('x'):rep(1000) .. #t) end

--- full, and then the host's functions: TIMEOUT MEMORY_LIMIT value
local k = {} pcall(function() while true do k = { k, ('y'):rep(100) .. #k } end end) print(tostring({})) return
  os.date()

--- ever larger strings kept in the loop: TIMEOUT MEMORY_LIMIT
local t, n = {}, 1 while true do local ok, s = pcall(string.rep, 'x', n) if ok then t[#t + 1] = s n = n * 2 end
  end


-- == the stack

--- recursion: value
local function f() return 1 + f() end return (pcall(f))

--- recursion in pcall: value
local function f() return pcall(f) end return (f())

--- coroutine in coroutine: value
local function f() return coroutine.wrap(f)() end return (pcall(f))

--- coroutine.close in coroutine.close: value
local last for i = 1, 1000 do local before = last last = coroutine.create(function() local x <close> =
  setmetatable({}, { __close = function() if before then coroutine.close(before) end end }) coroutine.yield()
  end) coroutine.resume(last) end return (coroutine.close(last))

--- tostring in tostring: value
local t t = setmetatable({}, { __tostring = function() return tostring(t) end }) return (pcall(tostring, t))

--- index chain: UNKNOWN
local t = {} for i = 1, 1e5 do t = setmetatable({}, { __index = t }) end return t.x == nil

--- unpack, a million: UNKNOWN value
return select('#', table.unpack({}, 1, 1e6))

--- unpack, many: value MEMORY_LIMIT
return select('#', table.unpack({}, 1, 900000))

--- unpack, overflow: value
return (pcall(table.unpack, {}, math.mininteger, math.maxinteger))

--- select of many: value
return select(-1, table.unpack({}, 1, 200000)) == nil

--- string.char of many: value
return #string.char(string.byte(('x'):rep(200000), 1, -1))

--- string.byte of many: value
return (pcall(string.byte, ('x'):rep(1e7), 1, -1))


-- == strings

--- format, widths: value
return (pcall(string.format, '%99999999999d', 1))

--- format, precision: value
return #string.format('%.99f', 1e308)

--- format, missing values: value
return (pcall(string.format, ('%d'):rep(10000)))

--- format, all letters: value
local n = 0 for b = 0, 255 do for _, v in ipairs({ 1, 1.5, 'x', {}, print }) do local ok = pcall(string.format,
  '%' .. string.char(b), v) n = n + (ok and 1 or 0) end end return n > 0

--- format, a false length: value
return #string.format('%s', setmetatable({}, { __tostring = function() return ('x'):rep(1e6) end }))

--- format, a pointer in a width: value
return (pcall(string.format, '%-10.3p', {}))

--- pack, alignment: value
return (pcall(string.pack, '!17i4', 1))

--- pack, sizes: value
return (pcall(string.pack, 'i17', 1))

--- pack, huge: UNKNOWN
return #string.pack('!16' .. ('i16'):rep(1e5), table.unpack({}, 1, 1e5))

--- pack, padding: MEMORY_LIMIT UNKNOWN
return #string.pack('c1000000000', 'x')

--- packsize, overflow: value
return (pcall(string.packsize, 'c2147483647c2147483647'))

--- unpack, beyond the end: value
return (pcall(string.unpack, 'i8', 'short', 1 << 40)), (pcall(string.unpack, 's8',
  '\xff\xff\xff\xff\xff\xff\xff\x7f'))

--- utf8, invalid: value
return (pcall(utf8.codepoint, '\xff')), utf8.len('\xff') == nil, (pcall(utf8.char, -1)), (pcall(utf8.codes,
  '\xff'))

--- utf8, large: value
return utf8.len(('\u{20AC}'):rep(3e6))

--- utf8, positions: value
return (pcall(utf8.offset, 'abc', 1, math.mininteger)), (pcall(utf8.codepoint, 'abc', 1, 1 << 40))

--- patterns, malformed: value
local n = 0 for _, p in ipairs({ '[a', '%', '(', ')', '%b', '%f', '(()', '%9', '[%', '[]', '[^' }) do n = n +
  (pcall(string.find, 'a', p) and 1 or 0) end return n

--- patterns, captures: value
return (pcall(string.find, ('a'):rep(100), ('(a)'):rep(40)))

--- patterns, depth: value
return (pcall(string.find, ('a'):rep(3e5), ('a?'):rep(3e5)))

--- metatable of strings: UNKNOWN
getmetatable('').__index = function() return 'PWN' end return ('x').foo

--- metatable of strings, by a method: value
string.upper = function() return 'PWN' end return ('x'):upper() == 'X'

--- metatable of a function: value
return getmetatable(print) == nil and getmetatable(coroutine.create(print)) == nil and getmetatable(1) == nil


-- == numbers

--- for, overflow: value
local n = 0 for i = math.maxinteger - 2, math.maxinteger do n = n + 1 end return n

--- for, step zero: UNKNOWN
for i = 1, 2, 0 do end

--- for, a float that sticks: TIMEOUT
for i = 2 ^ 53, 2 ^ 53 + 10 do end

--- division: value
return (pcall(function() return 1 // 0 end)), (pcall(function() return 1 % 0 end)), math.mininteger // -1,
  math.mininteger % -1

--- random, ranges: value
return (pcall(math.random, 0, -1)), math.type(math.random(0)), math.type(math.random(math.mininteger,
  math.maxinteger))

--- random, seeds: UNKNOWN
math.randomseed(1) local a = math.random(1 << 50) math.randomseed(1) math.randomseed() math.randomseed(1.5)
  return (pcall(math.randomseed, {}))

--- tonumber, a long text: value
return tonumber(('1'):rep(1e6)) == math.huge and tonumber(('f'):rep(1e6), 16) ~= nil


-- == dates

--- date, all letters: value
for b = 0, 255 do pcall(os.date, '%' .. string.char(b), 0) pcall(os.date, '%E' .. string.char(b), 0)
  pcall(os.date, '%O' .. string.char(b), 0) end return 1

--- date, a long format: value
return #os.date(('%c'):rep(100000))

--- date, times: value
local n = 0 for _, t in ipairs({ -1, math.maxinteger, math.mininteger, 1 << 55, 0 / 0 }) do n = n +
  (pcall(os.date, '*t', t) and 1 or 0) end return n > 0

--- time, fields: value
return (pcall(os.time, { year = 1 << 40, month = math.maxinteger, day = math.mininteger }))


-- == output

--- a line of 10 MB: OUTPUT_LIMIT
print(('x'):rep(10 << 20))

--- a line of almost 10 MB: value
print(('x'):rep((10 << 20) - 1))

--- escapes of a terminal: value
print('\27]0;title\7\27[2J\27]8;;http://x\27\\\27P\27\\\155\8\8\127\0')

--- bytes that are no text: value
for b = 0, 255 do print(string.char(b), string.char(b, b)) end

--- half a character at a time: value
for _ = 1, 1000 do print('\xe2') end

--- print of hostile objects: UNKNOWN
print(setmetatable({}, { __tostring = function() return {} end }))

--- print of a name: value
print(setmetatable({}, { __name = ('x'):rep(1e6) }))

--- many values: value
print(table.unpack({}, 1, 200000))

--- nothing, for ever: TIMEOUT OUTPUT_LIMIT
while true do print() end


-- == require

--- require, names: value
local n = 0 for _, name in ipairs({ '', '../values', '/etc/passwd', 'os', 'values\0', 'VALUES', '__index',
  ('x'):rep(1e6), 'a\nb', '\xff', 'values.lua', 'sandbox_modules', 'python.run', '[sandbox] vm' }) do n = n +
  (pcall(require, name) and 1 or 0) end return n

--- require, no name: value
local n = 0 for _, name in ipairs({ 1, true, {}, print, setmetatable({}, { __tostring = function() return
  'values' end }) }) do n = n + (pcall(require, name) and 1 or 0) end return n

--- require, a changed module: value
require('values').echo = nil return require('values').echo == nil


-- == results and errors

--- result, 8 MiB: value
return #('x'):rep(8 << 20) .. ''

--- result, a text of almost 8 MiB: value
return ('x'):rep((8 << 20) - 100)

--- result, larger: INVALID
return ('x'):rep((8 << 20) + 1)

--- result, larger as text: INVALID MEMORY_LIMIT
return ('\1'):rep(4 << 20)

--- result, wide: value MEMORY_LIMIT
local t = {} for i = 1, 3e5 do t[i] = {} end return t

--- result, deep: INVALID
local t = {} for _ = 1, 1e5 do t = { t } end return t

--- result, a cycle: INVALID
local a, b = {}, {} a.b, b.a = b, a return a

--- result, metamethods: UNKNOWN
return setmetatable({ 1 }, { __index = function() error('no') end, __len = error, __pairs = error, __tostring =
  error })

--- result, keys: INVALID
return { [setmetatable({}, { __tostring = function() return 'k' end })] = 1 }

--- result, a sparse list: INVALID
return { [1] = 1, [math.maxinteger] = 2 }

--- result, a hostile method table: TIMEOUT
return setmetatable({}, { __index = function() while true do end end })

--- error, itself hostile: UNKNOWN
error(setmetatable({}, { __index = error, __eq = error, __tostring = function() error(setmetatable({}, {
  __tostring = error })) end }))

--- error, its text loops: TIMEOUT
error(setmetatable({}, { __tostring = function() while true do end end }))

--- error, its text waits: TIMEOUT
error(setmetatable({}, { __tostring = function() require('service').sleep(60) return '' end }))

--- error, its text yields: UNKNOWN
error(setmetatable({}, { __tostring = function() coroutine.yield() return 'x' end }))

--- error, large: UNKNOWN
error(('x'):rep(20 << 20))

--- error, a cycle: UNKNOWN
local t = {} t.t = t error(t)

--- error, a false kind: UNKNOWN
error({ kind = 'CRASHED', message = 'x' })

--- error, kinds of other types: UNKNOWN
error({ kind = {}, message = ('x'):rep(1e6), retryable = 'yes' })

--- error, says that memory is out: MEMORY_LIMIT
error('not enough memory', 0)

--- errors.new, hostile fields: UNKNOWN
return nil, errors.new(setmetatable({}, { __index = function(_, k) return k == 'message' and 'm' or {} end }))

--- errors.wrap, in a circle: UNKNOWN
local e = errors.new('x') for _ = 1, 2000 do e = errors.wrap(e, ('y'):rep(100)) end return nil, e

--- wait without end: TIMEOUT
require('service').sleep(1e8)

--- waits, many at once: TIMEOUT
local t = {} for i = 1, 200 do t[i] = coroutine.create(function() require('service').sleep(60) end) end for _, c
  in ipairs(t) do coroutine.resume(c) end

--- sleep, no time: value
local n = 0 for _, s in ipairs({ -1, 0 / 0, math.huge, 'x', {}, 1e300 }) do n = n +
  (pcall(require('service').sleep, s) and 1 or 0) end return n


-- == what a tool may show, channels and tasks

--- display, endless: OUTPUT_LIMIT
while true do display({ ['text/plain'] = ('x'):rep(1e6) }) end

--- display, hostile: value
local n = 0 for _, v in ipairs({ 1, {}, { x = 1 }, { ['text/html'] = {} }, { ['image/png'] = 'no' }, {
  ['text/plain'] = '\xff' } }) do n = n + (pcall(display, v) and 1 or 0) end return n >= 0

--- progress, hostile: value
for _, v in ipairs({ 0 / 0, -1, math.huge, 'x', {}, print }) do pcall(progress, v, v, v) end return 1

--- progress, endless: TIMEOUT OUTPUT_LIMIT
while true do progress(1, 2, ('x'):rep(1e5)) end

--- tasks without end: UNKNOWN
while true do coroutine.spawn(function() require('service').sleep(60) end) end

--- a task that spawns itself: UNKNOWN
local function f() coroutine.spawn(f) coroutine.spawn(f) end f() channel.new():receive()

--- a task that outlives the program: value
coroutine.spawn(function() while true do end end) return 1


-- == the environment

--- globals that fail: value
setmetatable(_G, { __index = error, __newindex = error }) return pcall(function() return nothing end) == false

--- globals emptied: value
local all = _G for k in pairs(all) do all[k] = nil end return next == nil

--- globals replaced: value
pcall, error, tostring, type, next, select = nil _G.coroutine.yield = nil string.format = nil table.concat = nil
  return { a = 1 }

--- an environment that loops: TIMEOUT
local _ENV = { setmetatable = setmetatable } _ENV = setmetatable({}, { __index = function() while true do end
  end }) return x

--- yield to nobody: UNKNOWN
coroutine.yield(1, 2, 3)

--- resume the main task: value
local main = coroutine.running() return coroutine.wrap(function() return coroutine.resume(main) end)()

--- weak tables: value TIMEOUT
for _ = 1, 2e4 do local t = setmetatable({}, { __mode = 'kv' }) for i = 1, 5 do t[i] = {} t[{}] = {} end end
  return 1

--- a second metatable on a weak table: UNKNOWN
local t = setmetatable({}, { __mode = 'kv' }) setmetatable(t, { __mode = 'k' })

--- __gc: UNKNOWN
setmetatable({}, { __gc = print })

--- __gc, later: value TIMEOUT
local m = {} local t = setmetatable({}, m) m.__gc = function() while true do end end t = nil for i = 1, 1e6 do
  local x = {} end return 1

--- __metatable: value
return getmetatable(setmetatable({}, { __metatable = 'locked' }))
