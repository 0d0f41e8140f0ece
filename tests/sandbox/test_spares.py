"""Children kept in waiting: made when nobody waits for one, and as fresh as any other."""

from __future__ import annotations

import asyncio

from sandbox_kit import opened


async def settled(tasks: set[asyncio.Task[None]]) -> None:
    while tasks:
        await asyncio.gather(*tasks)


async def test_spares_are_made_again_after_a_burst_of_calls() -> None:
    async with opened(spares=2) as lua:
        assert await asyncio.gather(*(lua.value(f"return {n}") for n in range(8))) == list(range(8))
        await settled(lua.sandbox._tasks)
        assert len(lua.sandbox._spares) == 2


async def test_no_spare_is_made_while_a_call_waits_for_its_child() -> None:
    """A call that has a spare is over first; what it would make delayed the calls whose children are being forked."""
    async with opened(spares=1) as lua:
        await lua.value("return 1")
        await settled(lua.sandbox._tasks)
        made: list[int] = []
        spawn = lua.sandbox._workers.spawn  # type: ignore[union-attr]

        async def watched(shape):  # type: ignore[no-untyped-def]
            made.append(lua.sandbox._waiting)
            return await spawn(shape)

        lua.sandbox._workers.spawn = watched  # type: ignore[union-attr, method-assign]
        await asyncio.gather(*(lua.value("return 1") for _ in range(6)))
        await settled(lua.sandbox._tasks)
        assert made == [1, 2, 3, 4, 5, 0]


async def test_a_child_that_waited_long_is_as_one_that_did_not() -> None:
    source = "return { collectgarbage == nil, math.random(1 << 60), #require('text').shout('x') }"
    async with opened(spares=1) as lua:
        await lua.value("return 1")
        await settled(lua.sandbox._tasks)
        await asyncio.sleep(0.02)
        found = [await lua.value(source), *await asyncio.gather(*(lua.value(source) for _ in range(3)))]
    assert all(isinstance(value, list) and value[0] is True and value[2] == 2 for value in found)
    assert len({str(value) for value in found}) == 4


async def test_a_child_of_any_memory_limit_comes_from_the_same_zygote() -> None:
    async with opened(spares=0) as lua:
        for megabytes in (2, 100, 8):
            source = f"return #('x'):rep({megabytes} << 18)"
            assert await lua.value(source, memory=megabytes << 20) == megabytes << 18
            error = await lua.error(source.replace("<< 18", "<< 20"), memory=megabytes << 20)
            assert error.message == f"memory limit of {megabytes} MiB reached at tool:1"
