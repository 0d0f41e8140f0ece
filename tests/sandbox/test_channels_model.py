"""`channel` beside a model of it: random operations give in Lua what they give in Python."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sandbox_kit import opened

from micro_agi_kernel.values import Value

pytestmark = [pytest.mark.asyncio(loop_scope="module")]


SPAWN = "local spawn, log = coroutine.spawn, {} local function note(...) log[#log + 1] = ... end "


class Model:
    """The same channels in Python: one step is one operation of the handler that never waits (default = true)."""

    def __init__(self, size: int) -> None:
        self.size, self.buffer, self.closed = size, [], False

    def step(self, operation: str, value: int) -> Value:
        if operation == "close":
            self.closed = True
            return "closed"
        if operation == "send":
            if self.closed:
                return "error"
            if len(self.buffer) < self.size:
                self.buffer.append(value)
                return "sent"
            return "default"
        if self.buffer:
            return self.buffer.pop(0)
        return "end" if self.closed else "default"

    buffer: list[int]


STEPS = st.lists(
    st.tuples(st.integers(0, 2), st.sampled_from(["send", "send", "receive", "receive", "close"]), st.integers(0, 99)),
    max_size=40,
)

PLAY = """
    local channels, results = {}, {}
    for i, size in ipairs(input.sizes) do channels[i] = channel.new(size) end
    for i, step in ipairs(input.steps) do
      local c, operation, value = channels[step[1] + 1], step[2], step[3]
      if operation == "close" then
        c:close()
        results[i] = "closed"
      else
        local case = operation == "send" and c:case_send(value) or c:case_receive()
        local ok, r = pcall(channel.select, { case, default = true })
        results[i] = not ok and "error" or r.default and "default" or not r.ok and "end"
          or operation == "send" and "sent" or r.value
      end
    end
    return { results = results }
"""


async def test_buffers_do_as_a_model_does() -> None:
    async with opened(spares=2) as runner:
        loop = asyncio.get_running_loop()

        @settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
        @given(st.tuples(*[st.integers(0, 3)] * 3), STEPS)
        def check(sizes: tuple[int, ...], steps: list[tuple[int, str, int]]) -> None:
            models = [Model(size) for size in sizes]
            expected = [models[which].step(operation, value) for which, operation, value in steps]
            input: Any = {"sizes": list(sizes), "steps": [list(step) for step in steps]}
            source = "return { handler = function(input) " + PLAY + " end }"
            future = asyncio.run_coroutine_threadsafe(runner.value(source, input), loop)
            assert future.result() == {"results": expected}

        await asyncio.to_thread(check)


PIPELINE = """
    local total, done = 0, channel.new(input.done)
    local stages = { channel.new(input.sizes[1]) }
    for stage = 1, #input.workers do
      stages[stage + 1] = channel.new(input.sizes[stage + 1])
      local from, to, left = stages[stage], stages[stage + 1], input.workers[stage]
      for _ = 1, input.workers[stage] do
        coroutine.spawn(function()
          while true do
            local value, ok = from:receive()
            if not ok then break end
            local r = channel.select{ to:case_send(value + 1) }
            if value % 7 == 0 then coroutine.yield() end
          end
          left = left - 1
          if left == 0 then to:close() end
        end)
      end
    end
    coroutine.spawn(function()
      for i = 1, input.items do stages[1]:send(i) end
      stages[1]:close()
    end)
    local got = {}
    while true do
      local value, ok = stages[#stages]:receive()
      if not ok then break end
      got[#got + 1] = value
    end
    table.sort(got)
    return { got = got }
"""


async def test_pipelines_lose_and_double_nothing() -> None:
    async with opened(spares=2) as runner:
        loop = asyncio.get_running_loop()

        @settings(max_examples=25, deadline=None)
        @given(
            workers=st.lists(st.integers(1, 5), min_size=1, max_size=4),
            sizes=st.lists(st.integers(0, 3), min_size=5, max_size=5),
            items=st.integers(0, 60),
        )
        def check(workers: list[int], sizes: list[int], items: int) -> None:
            input: Any = {"workers": workers, "sizes": sizes, "items": items, "done": 0}
            source = "return { handler = function(input) " + PIPELINE + " end }"
            future = asyncio.run_coroutine_threadsafe(runner.value(source, input), loop)
            assert future.result() == {"got": [i + len(workers) for i in range(1, items + 1)]}

        await asyncio.to_thread(check)
