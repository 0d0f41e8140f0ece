"""Which commit broke a tool, and the line that offers to undo it when it fails."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from house_kit import House, create, delete, id_of, policy, talking, tool, update
from model_server import calls, text
from test_bounds import command

from micro_agi_kernel.bisecting import bisect
from micro_agi_kernel.commands.cell import run_cell
from micro_agi_kernel.entries import AGENT, Entry
from micro_agi_kernel.errors import MicroAgiError
from micro_agi_kernel.events import Notice
from micro_agi_kernel.frontends.markdown_as_text import markdown_as_text
from micro_agi_kernel.session import Session

RIGHT = [{"name": "adds", "input": {"a": 2}, "expect": 3}, {"name": "zero", "input": {"a": 0}, "expect": 1}]


def version(number: int, plus: str = "1", tests: Any = None) -> Entry:
    source = f"return {{ handler = function(input) return (input.a or 0) + {plus} end }} -- {number}"
    entry = tool("adder", source, input_schema={"type": "object"})
    return Entry(entry.id, entry.kind, entry.meta, {**entry.data, "tests": tests or RIGHT})


def history(house: House, *plus: str) -> list[str]:
    """A version of the tool for each, the oldest first; their commits."""
    commits = []
    for number, each in enumerate(plus):
        write = update if number else create
        commits.append(house.write(*write(version(number, each)), actor=AGENT).commit)
        house.write(*create(tool(f"other{number}")))
    return commits


@pytest.mark.parametrize("first_bad", [1, 2, 5, 8])
async def test_the_first_commit_that_fails_is_found(house: House, first_bad: int) -> None:
    commits = history(house, *("1" if n < first_bad else "2" for n in range(9)))
    found = await bisect(house, id_of("app.generated:adder"), "")
    assert (found.bad.version.commit, found.good.version.commit) == (commits[first_bad], commits[first_bad - 1])
    assert "'adds' expected 3, got 4" in found.why


async def test_one_test_by_name_or_as_json(house: House) -> None:
    id = id_of("app.generated:adder")
    commits = history(house, "1", "1 + (input.a or 0) * 0", "1 - (input.a == 2 and 9 or 0)", "2")
    assert (await bisect(house, id, "zero")).bad.version.commit == commits[3]
    assert (await bisect(house, id, "adds")).bad.version.commit == commits[2]
    assert (await bisect(house, id, '{"input": {"a": 7},  "expect": 8}')).bad.version.commit == commits[3]
    for wanted, why in (
        ("none", "has no test 'none'; there are: 'adds', 'zero'"),
        ('{"input": 1', "the test is no JSON"),
        ('{"input": {}}', "exactly one of expect"),
        ('{"input": {"a": 1}, "error": "nope"}', f"fails since {commits[0][:12]}, its oldest version"),
    ):
        with pytest.raises(MicroAgiError, match=why):
            await bisect(house, id, wanted)


async def test_what_cannot_be_bisected_is_one_line(house: House) -> None:
    id = id_of("app.generated:adder")
    with pytest.raises(MicroAgiError, match=r"not found: app\.generated:adder"):
        await bisect(house, id, "")
    history(house, "1", "1 + 0")
    assert await command(Session(house, house.settings), "%bisect adder") == (
        "`app.generated:adder` passes now: nothing is broken."
    ), "it answers what was asked"
    house.write(*update(tool("adder", input_schema={"type": "object"})))
    with pytest.raises(MicroAgiError, match="has no tests; give one as JSON"):
        await bisect(house, id, "")


async def test_a_deleted_or_broken_version_in_between_fails(house: House) -> None:
    [first] = history(house, "1")
    house.write(*delete("app.generated:adder"))
    house.push({"app/generated/adder.yaml": b"kind: ["})
    house.push({"app/generated/adder.yaml": None})
    house.write(*create(version(2, "2")))
    found = await bisect(house, id_of("app.generated:adder"), "")
    assert found.good.version.commit == first and "was deleted" in found.why


async def test_the_command(house: House) -> None:
    commits = history(house, "1", "2")
    session = Session(house, house.settings)
    said = await command(session, "%bisect adder")
    assert said.startswith(f"`{commits[1][:12]}` of ") and f"`%revert {commits[1][:12]} app.generated:adder`" in said
    assert f"`{commits[0][:12]}` was the last that passed" in said
    assert "broke" in await command(session, '%bisect app.generated:adder {"input": {"a":  1}, "expect": 2}')
    assert "`%bisect ID [TEST]`" in await command(session, "%help")


async def test_a_tool_that_fails_since_its_update_is_offered_for_revert_once(house: House) -> None:
    house.write(*create(tool("worker", "return { handler = function() return 1 end }")), actor=AGENT)
    load, work = ("load_tool", {"id": "app.generated:worker"}), ("worker", {})
    script = [
        calls(load),
        calls(work),
        text("ok"),
        *[calls(work), text("ok")] * 2,
        calls(work),
        text("ok"),
        calls(work),
        text("ok"),
    ]
    async with talking(house, script) as talk:

        async def notices() -> list[str]:
            return [event.text for event in await talk.say("go") if isinstance(event, Notice)]

        assert await notices() == []
        broken = house.write(*update(tool("worker", "return { handler = function() error('boom') end }")), actor=AGENT)
        commit = broken.commit[:12]
        offer = f"app.generated:worker fails since commit {commit} changed it, and worked before: "
        assert await notices() == [f"{offer}`%revert {commit} app.generated:worker` undoes that"]
        assert await notices() == [], "once"
        house.write(
            *update(tool("worker", "return { handler = function(i) error('never worked, another way') end }")),
            actor=AGENT,
        )
        assert len(await notices()) == 1
        house.write(*update(tool("worker", "return { handler = function() return 1 end }")), actor=AGENT)
        assert await notices() == []


async def test_a_new_tool_that_fails_is_nothing_to_revert(house: House) -> None:
    house.write(*create(tool("never", "return { handler = function() error('boom') end }")), actor=AGENT)
    for _ in range(3):
        await house.run("app.generated:never", {})
    assert not [event for event in house.events if isinstance(event, Notice)]


async def test_the_offer_names_the_commit_that_brought_what_runs_now(house: House) -> None:
    broken = "return { handler = function() error('boom') end }"
    house.write(*create(tool("worker", "return { handler = function() return 1 end }")), actor=AGENT)
    assert (await house.run("app.generated:worker", {})).ok
    changed = house.write(*update(tool("worker", broken)), actor=AGENT).commit[:12]
    house.write(*update(tool("worker", broken, comment="Another description")), actor=AGENT)
    house.write(*update(tool("worker", f"{broken} -- and a comment", comment="Another description")), actor=AGENT)
    await house.run("app.generated:worker", {})
    [line] = [event.text for event in house.events if isinstance(event, Notice)]
    assert f"fails since commit {changed} changed it" in line


async def test_what_a_tool_says_of_its_input_is_no_breakage(house: House) -> None:
    said = "errors.new({kind = 'NOT_FOUND', message = 'no'})"
    source = f"return {{ handler = function(i) if i.ok then return 1 end return nil, {said} end }}"
    anything = {"type": "object"}
    house.write(*create(tool("finder", source, input_schema=anything)), actor=AGENT)
    assert (await house.run("app.generated:finder", {"ok": True})).ok
    house.write(*update(tool("finder", source.replace("1 end", "2 end"), input_schema=anything)), actor=AGENT)
    assert not (await house.run("app.generated:finder", {})).ok
    assert not [event for event in house.events if isinstance(event, Notice)]


async def test_tests_of_one_name_all_run(house: House) -> None:
    twins = [{"name": "x", "input": {"a": 1}, "expect": 2}, {"name": "x", "input": {"a": 0}, "expect": 1}]
    for number, plus in enumerate(("1", "(input.a == 1 and 9 or 1)")):
        write = update if number else create
        commit = house.write(*write(version(number, plus, twins)), actor=AGENT).commit
    assert (await bisect(house, id_of("app.generated:adder"), "")).bad.version.commit == commit
    assert (await bisect(house, id_of("app.generated:adder"), "x")).bad.version.commit == commit


async def test_only_functions_are_bisected_and_a_name_is_enough_everywhere(house: House) -> None:
    with pytest.raises(MicroAgiError, match="app:dev_assistant is no function: only these have tests"):
        await bisect(house, id_of("app:dev_assistant"), '{"input": {}, "expect": 1}')
    commits = history(house, "1", "2")
    session = Session(house, house.settings)
    said = await error(session, '%bisect registry_list {"input": {}, "expect": 1}')
    assert said.startswith("app.tools:registry_list fails since")
    said = await command(session, f"%revert {commits[1][:12]} adder")
    assert "Update app.generated:adder" in markdown_as_text(said)


async def error(session: Session, cell: str) -> str:
    events = [event async for event in run_cell(session, cell)]
    return str(getattr(events[-1], "error", ""))


ADDER = id_of("app.generated:adder")
SUMS = "app.lib:sums"


def sums(plus: str, id: str = SUMS) -> Entry:
    return Entry(id_of(id), "library.lua", {}, {"source": f"return function(n) return n + {plus} end"})


def importing(id: str = SUMS, comment: str = "For a test") -> Entry:
    source = "return { handler = function(input) return require('sums')(input.a or 0) end }"
    entry = tool("adder", source, input_schema={"type": "object"}, comment=comment)
    return replace(entry, data={**entry.data, "imports": {"sums": id}, "tests": RIGHT})


async def test_the_commit_that_changed_a_library_is_found_and_its_revert_heals(house: House) -> None:
    house.write(*create(sums("1")))
    good = house.write(*create(importing()), actor=AGENT).commit
    house.write(*create(tool("other")))
    bad = house.write(*update(sums("2"))).commit
    session = Session(house, house.settings)
    for comment in ("For a test", "Another description", "And another"):
        if comment != "For a test":
            house.write(*update(importing(comment=comment)), actor=AGENT)
        found = await bisect(house, ADDER, "")
        assert (found.bad.version.commit, found.good.version.commit) == (bad, good)
        assert found.bad.changed == (id_of(SUMS),) and "'adds' expected 3, got 4" in found.why
    said = await command(session, "%bisect adder")
    assert f"- it changed `{SUMS}`, which adder uses" in said
    assert f"- `%revert {bad[:12]} {SUMS}` undoes it" in said
    await command(session, f"%revert {bad[:12]} {SUMS}")
    assert await bisect(house, ADDER, "") is None


async def test_the_commit_that_changed_a_called_tool_is_found(house: House) -> None:
    source = "return { handler = function(input) return (input.a or 0) + %s end }"
    anything = {"type": "object"}
    house.write(*create(tool("worker", source % "1", input_schema=anything)), actor=AGENT)
    calling = "return { handler = function(i) return require('funcs').call('app.generated:worker', i) end }"
    for calls_field in ({"calls": ["app.generated:worker"]}, {}):  # without a list it may call any
        name = "listing" if calls_field else "app.mine:free"
        entry = tool(name, calling, modules=[] if calls_field else ["funcs"], input_schema=anything)
        house.write(*create(replace(entry, data={**entry.data, **calls_field, "tests": RIGHT})), actor=AGENT)
    good = house.write(*create(tool("unrelated"))).commit
    bad = house.write(*update(tool("worker", source % "2", input_schema=anything)), actor=AGENT).commit
    house.write(*update(tool("worker", f"{source % '2'} -- a comment", input_schema=anything)), actor=AGENT)
    house.write(*update(tool("unrelated", comment="Changed")))
    for name in ("app.generated:listing", "app.mine:free"):
        found = await bisect(house, id_of(name), "")
        assert (found.bad.version.commit, found.bad.undo()) == (bad, f"%revert {bad[:12]} app.generated:worker"), name
    assert found.good.version.commit == good


async def test_a_library_that_was_deleted_and_is_back(house: House) -> None:
    house.write(*create(sums("1")))
    house.write(*create(importing()), actor=AGENT)
    gone = house.write(*delete(SUMS)).commit
    with_reason = await bisect(house, ADDER, "")
    assert with_reason.bad.version.commit == gone and f"not found: {SUMS}" in with_reason.why
    house.write(*create(sums("2")))
    assert (await bisect(house, ADDER, "")).bad.version.commit == gone, "the oldest of those in a row"
    house.write(*update(sums("1")))
    bad = house.write(*update(sums("3"))).commit
    assert (await bisect(house, ADDER, "")).bad.version.commit == bad
    house.push({"app/lib/sums.yaml": b"kind: ["})
    assert (await bisect(house, ADDER, "")).bad.version.commit == bad


async def test_what_a_tool_imported_before_is_looked_at_too(house: House) -> None:
    house.write(*create(sums("1"), sums("2", "app.lib:more")))
    house.write(*create(importing()), actor=AGENT)
    bad = house.write(*update(sums("2"))).commit
    house.write(*update(importing("app.lib:more")), actor=AGENT)
    house.write(*update(sums("3", "app.lib:more")))
    found = await bisect(house, ADDER, "")
    assert (found.bad.version.commit, found.bad.changed) == (bad, (id_of(SUMS),))


async def test_of_several_that_one_commit_changed_all_are_reverted(house: House) -> None:
    house.write(*create(sums("1")))
    house.write(*create(importing()), actor=AGENT)
    bad = house.write(*update(sums("2"), importing(comment="Changed with it"))).commit
    found = await bisect(house, ADDER, "")
    assert found.bad.changed == (ADDER, id_of(SUMS)) and found.bad.undo() == f"%revert {bad[:12]}"


async def test_the_policies_of_today_judge_the_past(house: House) -> None:
    house.write(*create(sums("1")))
    first = house.write(*create(importing()), actor=AGENT).commit
    house.write(*create(policy("app:no_sums", "deny", "tool.load", SUMS)))
    bad = house.write(*update(sums("2"))).commit
    with pytest.raises(MicroAgiError, match=f"fails since {first[:12]}, its oldest version: .*app:no_sums"):
        await bisect(house, ADDER, "")
    house.write(*delete("app:no_sums"))
    assert (await bisect(house, ADDER, "")).bad.version.commit == bad


async def test_tests_younger_than_the_tool_and_the_number_of_trials(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    commits = history(house, *(str(-n) for n in range(1, 20)), *["1"] * 10, *["2"] * 11)
    trials = []
    check = house.checks.all

    async def counted(*args: Any) -> Any:
        trials.append(args)
        return await check(*args)

    monkeypatch.setattr(house.checks, "all", counted)
    found = await bisect(house, ADDER, "")
    assert (found.bad.version.commit, found.good.version.commit) == (commits[29], commits[28])
    assert len(trials) < 11, "there are eleven commits that fail"
