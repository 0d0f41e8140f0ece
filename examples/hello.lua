-- Run it with: micro-agi eval examples/hello.lua --modules time --input '{"name": "Ada"}'
local time = require("time")

local function handler(input)
    print("working ...")
    return { greeting = "Hello, " .. (input.name or "world"), at = time.now():utc():format_rfc3339() }
end

return { handler = handler }
