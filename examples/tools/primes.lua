-- How many prime numbers are there in each tenth of the range up to a number?
local function is_prime(n)
    for divisor = 2, math.floor(math.sqrt(n)) do
        if n % divisor == 0 then return false end
    end
    return n > 1
end

local function handler(input)
    local step, total = input.upto // 10, 0
    local rows, lines = {}, { "| up to | primes |", "|--:|--:|" }
    for part = 1, 10 do
        local count = 0
        for n = (part - 1) * step + 1, part * step do
            if is_prime(n) then count = count + 1 end
        end
        total = total + count
        rows[part] = { upto = part * step, primes = count }
        lines[#lines + 1] = ("| %d | %d |"):format(part * step, count)
        progress(part, 10, "up to " .. part * step)
    end
    display({
        ["application/vnd.vegalite.v5+json"] = {
            data = { values = rows },
            mark = "bar",
            encoding = {
                x = { field = "upto", type = "ordinal", title = "up to" },
                y = { field = "primes", type = "quantitative", title = "primes in this tenth" },
            },
        },
        ["text/plain"] = ("a chart: from %d primes in the first tenth to %d in the last"):format(
            rows[1].primes, rows[10].primes),
    })
    display({ ["text/markdown"] = table.concat(lines, "\n") })
    return { primes = total }
end

return { handler = handler }
