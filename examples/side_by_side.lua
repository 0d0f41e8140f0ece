-- Three workers share the work, with a limit on the time of all of it.
-- Run it with: micro-agi eval examples/side_by_side.lua --modules time
local time = require("time")

local WORDS = { "channels", "hand", "values", "from", "one", "coroutine", "to", "another" }

local function worker(work, results)
    while true do
        local word, more = work:receive()
        if not more then return end
        time.sleep("10ms")
        results:send({ word = word, length = #word })
    end
end

local function handler()
    local work, results = channel.new(#WORDS), channel.new()
    for _ = 1, 3 do coroutine.spawn(worker, work, results) end
    for _, word in ipairs(WORDS) do work:send(word) end
    work:close()

    local rows, timeout = {}, time.after("5s")
    while #rows < #WORDS do
        local case = channel.select({ results:case_receive(), timeout:case_receive() })
        if case.channel == timeout then
            return nil, errors.new({ kind = errors.TIMEOUT, message = "the workers took too long" })
        end
        rows[#rows + 1] = case.value
        progress(#rows, #WORDS, case.value.word)
    end

    table.sort(rows, function(a, b) return a.word < b.word end)
    display({ ["application/json"] = rows })
    return #rows .. " words"
end

return { handler = handler }
