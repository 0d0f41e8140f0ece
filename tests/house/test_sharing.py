"""Two registries on one remote: what each makes comes to the other, entry by entry, and nothing gets lost."""

from __future__ import annotations

import asyncio
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from house_kit import GOOD, create, delete, git, id_of, policy, tool, update
from sharing_kit import Enter, Hub, Sharer, fates, files_of

from micro_agi_kernel import intake, syncing
from micro_agi_kernel.entries import AGENT, Entry, EntryId
from micro_agi_kernel.errors import Refused
from micro_agi_kernel.intake import Plan
from micro_agi_kernel.registry import audit
from micro_agi_kernel.registry.sharing.remote import Behind
from micro_agi_kernel.registry.signing import Signer, fingerprint
from micro_agi_kernel.trust import Trust, TrustedKey, change_trust


def source(value: object) -> str:
    return f"return {{ handler = function() return {value} end }}\n"


@pytest.fixture
def hub(tmp_path: Path) -> Hub:
    return Hub(tmp_path / "hub.git")


@pytest.fixture
def ann(enter: Enter, hub: Hub) -> Sharer:
    return Sharer(enter(), hub)


@pytest.fixture
def bob(enter: Enter, hub: Hub) -> Sharer:
    return Sharer(enter(), hub)


def sound(sharer: Sharer) -> None:
    assert [finding for finding in audit(sharer.house.registry) if finding.status != "ok"] == []


async def test_what_one_makes_comes_to_the_other(ann: Sharer, bob: Sharer, hub: Hub) -> None:
    assert (await ann.pull()).theirs is None  # the remote is empty
    ann.write(*create(tool("x", source(1)), tool("y", source(1))))
    head = await ann.push()
    assert hub.head == head == ann.house.head
    done = await bob.pull()
    assert fates(done) == {"app.generated:x": "taken", "app.generated:y": "taken"}
    assert bob.house.head == head  # nothing of its own: it is forwarded
    assert (await bob.house.run("app.generated:x")).value == 1
    bob.write(*update(tool("x", source(2))), *delete("app.generated:y"))
    await bob.push()
    await ann.pull()
    assert ann.sources() == {"x": source(2)} and ann.house.head == bob.house.head
    assert (await ann.pull()).items == () and await ann.push() == hub.head
    sound(ann)


async def test_both_made_something(ann: Sharer, bob: Sharer, hub: Hub) -> None:
    await ann.push()
    ann.write(*create(tool("x", source(1))))
    bob.write(*create(tool("y", source(2))))
    await ann.push()
    with pytest.raises(Behind, match=r"hub\.git has what this registry has not: run `micro-agi registry pull` first"):
        await bob.push()
    before = bob.house.head
    done = await bob.pull()
    merge = bob.house.registry.version("main")
    assert merge.parents == (before, ann.house.head) and merge.commit == done.commit
    assert merge.subject == "Merge 1 entry from hub.git" and merge.actor == f"user:{bob.house.person.name}"
    assert [(action, str(id)) for action, id in merge.operations] == [("create", "app.generated:x")]
    assert f"app.generated:x by {ann.house.head[:12]}" in git(bob.house.registry.path, "log", "-1", "--format=%b")
    await bob.push()
    own = ann.house.head
    await ann.pull()
    assert ann.house.registry.version("main").parents == (own, bob.house.head)  # her own line goes on
    assert ann.sources() == bob.sources() == {"x": source(1), "y": source(2)}
    await ann.push()
    merged = bob.house.head
    await bob.pull()
    assert bob.house.head == merged and await bob.push() == hub.head == ann.house.head  # nothing more to say
    sound(ann)


async def test_none_of_our_commits_leaves_our_line(ann: Sharer, hub: Hub) -> None:
    """A merge there whose second parent we are would put somebody else's line in the place of ours."""
    ann.write(*create(tool("mine", source(1))))
    ours = await ann.push()
    foxtrot = git(hub.path, "commit-tree", f"{ours}^{{tree}}", "-p", f"{ours}~1", "-p", ours, "-m", "by hand")
    git(hub.path, "update-ref", "refs/heads/main", foxtrot)
    hub.write(files_of(tool("theirs", source(2))))
    assert fates(await ann.pull()) == {"app.generated:theirs": "taken"}
    line = [version.commit for version in ann.house.registry.versions()]
    assert ours in line and foxtrot not in line
    sound(ann)


async def test_what_a_merge_there_dropped_waits_though_its_signer_is_trusted(
    ann: Sharer, bob: Sharer, hub: Hub, tmp_path: Path, key: Path
) -> None:
    line = key.with_suffix(".pub").read_text().strip()
    change_trust(ann.house.settings.home, lambda _: Trust((TrustedKey(fingerprint(line) or "", line),)))
    base = await ann.push()
    await bob.pull()
    await ann.publish(*create(policy("app:hard", "deny", "*", "*", "agent_security")))
    top = await ann.push()
    dropped = git(hub.path, "commit-tree", f"{base}^{{tree}}", "-p", base, "-p", top, "-m", "by hand")
    git(hub.path, "update-ref", "refs/heads/main", dropped)
    await bob.pull()
    bob.house.registry.signer = Signer(key)
    bob.write(*create(tool("x", source(1))))
    await bob.push()
    assert fates(await ann.pull()) == {"app:hard": "waiting", "app.generated:x": "taken"}
    assert ann.house.registry.snapshot().has(id_of("app:hard"))


async def test_two_seeds_are_no_conflict(ann: Sharer, bob: Sharer, hub: Hub) -> None:
    """Registries that were made apart have no commit in common; what is equal in both is no change."""
    other = git(bob.house.registry.path, "commit-tree", "main^{tree}", "-m", "Another seed")
    git(bob.house.registry.path, "update-ref", "refs/heads/main", other)
    ann.write(*create(tool("x", source(1)), tool("both", source(1))))
    bob.write(*create(tool("y", source(2)), tool("both", source(2))))
    await ann.push()
    assert fates(await bob.pull()) == {"app.generated:x": "taken", "app.generated:both": "conflict"}
    await bob.pull(reject="all")
    await bob.push()
    assert fates(await ann.pull()) == {"app.generated:y": "taken", "app.generated:both": "taken"}
    assert ann.sources() == bob.sources() == {"x": source(1), "y": source(2), "both": source(2)}
    sound(bob)


async def test_a_conflict_keeps_both(ann: Sharer, bob: Sharer, hub: Hub) -> None:
    ann.write(*create(tool("x", source(0))))
    await ann.push()
    await bob.pull()
    theirs = ann.write(*update(tool("x", source(1))))
    ann.write(*create(tool("y", source(1))))
    await ann.push()
    ours = bob.write(*update(tool("x", source(2))))
    done = await bob.pull()
    assert fates(done) == {"app.generated:x": "conflict", "app.generated:y": "taken"}
    conflict = done.of("conflict")[0]
    assert (conflict.ours, conflict.theirs) == (ours, theirs)
    assert bob.sources() == {"x": source(2), "y": source(1)}  # all others are merged
    seen = bob.house.registry.snapshot(conflict.theirs).get(id_of("app.generated:x"))
    assert seen is not None and seen.source == source(1)  # theirs stays visible
    assert bob.house.registry.version("main").parents == (ours,)  # but nothing is declared merged
    with pytest.raises(Behind, match=r"first decide about 1 change from hub\.git"):
        await bob.push()
    assert fates(await bob.pull()) == {"app.generated:x": "conflict"}
    sound(bob)


@pytest.mark.parametrize(("decision", "left"), [("accept", 1), ("reject", 2)])
async def test_a_conflict_is_decided(ann: Sharer, bob: Sharer, hub: Hub, decision: str, left: int) -> None:
    ann.write(*create(tool("x", source(0))))
    await ann.push()
    await bob.pull()
    theirs = ann.write(*update(tool("x", source(1))))
    await ann.push()
    bob.write(*update(tool("x", source(2))))
    with pytest.raises(Refused, match=r"nothing to decide about app\.generated:x"):
        await bob.pull(accept="app.generated:x")  # the person has not seen it yet
    await bob.pull()
    await bob.pull(**{decision: "app.generated:x"})
    assert bob.sources() == {"x": source(left)} and bob.house.registry.version("main").parents[1] == theirs
    await bob.push()
    assert fates(await ann.pull()) in ({}, {"app.generated:x": "taken"})
    assert ann.sources() == {"x": source(left)}
    await ann.push()
    assert fates(await bob.pull()) == {}


async def test_the_person_decides_about_what_they_saw(ann: Sharer, bob: Sharer, hub: Hub) -> None:
    await ann.push()
    await bob.pull()
    await ann.publish(*create(policy("app:p", "deny", "http_client.request", "*")))
    await ann.push()
    await bob.pull()
    weaker = policy("app:p", "allow", "lua.module", "*")
    await ann.publish(*update(weaker))
    await ann.push()
    await bob.syncing.pull(shows=False)  # as a session does by itself
    await bob.pull(accept="app:p")
    taken = bob.house.registry.snapshot().get(weaker.id)
    assert taken is not None and taken.data != weaker.data
    assert fates(await bob.pull()) == {"app:p": "waiting"}


async def test_what_is_left_is_asked_about_again_when_it_changes(ann: Sharer, bob: Sharer, hub: Hub) -> None:
    await ann.push()
    await bob.pull()
    await ann.publish(*create(policy("app:p", "deny", "x", "*"), policy("app:q", "deny", "x", "*")))
    await ann.push()
    assert fates(await bob.pull()) == {"app:p": "waiting", "app:q": "waiting"}
    assert fates(await bob.pull(reject="app:p")) == {"app:p": "left", "app:q": "waiting"}
    assert fates(await bob.pull()) == {"app:p": "left", "app:q": "waiting"}
    await ann.publish(*update(policy("app:p", "deny", "y", "*")))
    await ann.push()
    assert fates(await bob.pull()) == {"app:p": "waiting", "app:q": "waiting"}
    await bob.pull(accept="app:q", reject="app:p")
    assert bob.house.registry.version("main").parents[1:] == (ann.house.head,)
    await bob.push()
    assert fates(await ann.pull()) == {"app:p": "waiting"}  # Bob's merge deletes it: for Ann to decide


async def test_what_was_taken_and_undone_stays_undone(ann: Sharer, bob: Sharer, hub: Hub) -> None:
    """While something waits, what was taken stands in ordinary commits: it must not be taken again."""
    await ann.push()
    await bob.pull()
    await ann.publish(*create(policy("app:p", "deny", "x", "*")))
    ann.write(*create(tool("x", source(1)), tool("y", source(1))))
    await ann.push()
    assert fates(await bob.pull())["app.generated:x"] == "taken"
    bob.write(*delete("app.generated:x"), *update(tool("y", source(2))))
    assert fates(await bob.pull()) == {"app:p": "waiting"}  # no conflict about y either: Bob had hers, and went on
    ann.write(*update(tool("x", source(3))))
    await ann.push()
    assert fates(await bob.pull()) == {"app:p": "waiting", "app.generated:x": "conflict"}
    await bob.pull(accept="all")
    assert bob.sources() == {"x": source(3), "y": source(2)}
    await bob.push()


@pytest.fixture
def key(tmp_path: Path) -> Path:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / "key"], check=True)
    return tmp_path / "key"


async def test_a_signed_key_needs_no_yes(ann: Sharer, bob: Sharer, hub: Hub, tmp_path: Path, key: Path) -> None:
    await ann.push()
    await bob.pull()
    work = tmp_path / "work"
    git(tmp_path, "clone", "-q", str(hub.path), str(work))
    signing = ["-c", "gpg.format=ssh", "-c", f"user.signingkey={key}"]
    for name, kind, flags in (("signed", "a", ["-S"]), ("unsigned", "b", []), ("unsigned", "c", ["-S"])):
        (work / "app" / f"{name}.yaml").write_text(f"kind: {kind}\n")
        git(work, "add", "-A")
        git(work, *signing, "commit", "-q", *flags, "-m", name)
    git(work, "push", "-q")
    assert fates(await bob.pull()) == {"app:signed": "waiting", "app:unsigned": "waiting"}
    line = key.with_suffix(".pub").read_text().strip()
    change_trust(bob.house.settings.home, lambda _: Trust((TrustedKey(fingerprint(line) or "", line),)))
    assert fates(await bob.pull()) == {"app:signed": "taken", "app:unsigned": "waiting"}


async def test_the_agent_s_policies_judge_what_comes_in(ann: Sharer, bob: Sharer, hub: Hub) -> None:
    await ann.push()
    await bob.publish(*create(policy("app:no_x", "deny", "registry.create", "app.generated:x", "agent_security")))
    ann.write(*create(tool("x", source(1)), tool("y", source(1))))
    await ann.push()
    done = await bob.pull()
    assert fates(done) == {"app.generated:x": "waiting", "app.generated:y": "taken"}
    assert done.of("waiting")[0].why == "policy denied: registry.create on app.generated:x (policy app:no_x)"
    await bob.pull(accept="app.generated:x")  # a person has no scope
    assert set(bob.sources()) == {"x", "y"}


@pytest.mark.parametrize("mine", [False, True])
async def test_a_policy_that_comes_while_it_is_judged_counts(
    ann: Sharer, bob: Sharer, hub: Hub, monkeypatch: pytest.MonkeyPatch, mine: bool
) -> None:
    """Nothing is judged under the lock; what was judged by a state that is no longer there is judged again."""
    await ann.push()
    await bob.pull()
    if mine:  # so that it is a merge, not a forward
        bob.write(*create(tool("mine", source(1))))
    ann.write(*create(tool("x", source(1)), tool("y", source(1))))
    await ann.push()
    judged = 0

    async def examine(*arguments: Any) -> Plan:
        nonlocal judged
        judged += 1
        plan = await intake.examine(*arguments)
        if judged == 1:
            no_x = policy("app:no_x", "deny", "registry.create", "app.generated:x", "agent_security")
            bob.house.write(*create(no_x, tool("y", source(2))), actor="user:bob")
        return plan

    monkeypatch.setattr(syncing, "examine", examine)
    assert fates(await bob.pull()) == {"app.generated:x": "waiting", "app.generated:y": "conflict"}
    assert judged == 2


async def test_a_tool_waits_with_the_library_that_it_imports(ann: Sharer, bob: Sharer, hub: Hub) -> None:
    await ann.push()
    await bob.publish(*create(policy("app:no_lib", "deny", "registry.create", "app.generated:lib", "agent_security")))
    library = Entry(EntryId.parse("app.generated:lib"), "library.lua", {}, {"source": "return {}"})
    x = tool("x", source(1))
    ann.write(*create(library, replace(x, data={**x.data, "imports": {"lib": str(library.id)}}), tool("y", source(1))))
    await ann.push()
    done = await bob.pull()
    assert fates(done) == {"app.generated:lib": "waiting", "app.generated:x": "waiting", "app.generated:y": "taken"}
    assert "app.generated:lib" in next(item.why for item in done.items if str(item.subject) == "app.generated:x")
    await bob.pull(accept="app.generated:lib app.generated:x")
    assert (await bob.house.run("app.generated:x")).value == 1


async def test_local_writers_go_on_beside_a_pull(ann: Sharer, bob: Sharer, hub: Hub) -> None:
    await ann.push()
    await bob.pull()
    ann.write(*create(*(tool(f"x{n}", source(1)) for n in range(10))))
    await ann.push()

    def write() -> None:
        for n in range(20):
            bob.write(*create(tool(f"y{n}", source(1))))

    await asyncio.gather(bob.pull(), asyncio.to_thread(write))
    await bob.sync()
    await ann.pull()
    assert ann.sources() == bob.sources() and len(ann.sources()) == 30


async def test_a_real_session_of_the_agent_comes_through_whole(ann: Sharer, bob: Sharer, hub: Hub) -> None:
    """The agent's own commits, with trailers that the policies of their time bear out, are forwarded as they are."""
    assert (await ann.house.make("x", GOOD))["created"]
    await ann.push()
    await bob.pull()
    assert bob.house.head == ann.house.head and bob.house.registry.version("main").actor == AGENT
