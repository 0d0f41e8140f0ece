"""The remote as git reaches it: over a folder, HTTP and ssh; with a login, without an answer, with too much of one."""

from __future__ import annotations

import os
import socket
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest
from git_server import git_server
from registry_kit import create, fsck, git, tool, write

from micro_agi_kernel.environment import git_environment
from micro_agi_kernel.errors import RegistryError
from micro_agi_kernel.registry import Registry, audit
from micro_agi_kernel.registry.sharing import remote
from micro_agi_kernel.registry.sharing.address import Address, address_of
from micro_agi_kernel.registry.sharing.remote import FETCHED, SHOWN, Behind, Remote

NO_CONFIG = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}


@pytest.fixture
def hub(tmp_path: Path) -> Path:
    git(tmp_path, "init", "-q", "--bare", "-b", "main", "hub.git")
    return tmp_path / "hub.git"


@pytest.fixture
def other(tmp_path: Path, registry: Registry) -> Iterator[Registry]:
    """Another registry with the same beginning."""
    git(tmp_path, "clone", "-q", "--bare", str(registry.path), "other.git")
    git(tmp_path / "other.git", "remote", "remove", "origin")
    with Registry.open(tmp_path / "other.git") as other:
        yield other


def to(registry: Registry, address: str, **environment: str) -> Remote:
    """Its remote there, reached by a person with nothing but these in their environment."""
    found = Remote(registry.path, {"PATH": os.environ["PATH"], **NO_CONFIG, **environment})
    found.set(address)
    return found


def share(registry: Registry, other: Registry, address: str, **environment: str) -> None:
    """Everything that two registries do with one remote."""
    ours, theirs = to(registry, address, **environment), to(other, address, **environment)
    assert ours.fetch() is None and ours.fetched() is None
    write(registry, create(tool("x")))
    ours.push(registry.head())
    assert ours.fetched() == theirs.fetch() == theirs.fetched() == registry.head()
    assert str(other.snapshot(theirs.fetched()).ids()[0]) == "app.generated:x"
    write(other, create(tool("y")))
    with pytest.raises(Behind, match="has what this registry has not: run `micro-agi registry pull` first"):
        theirs.push(other.head())
    assert ours.fetch() == registry.head()
    theirs.mark_shown(registry.head())
    assert theirs.fetched(SHOWN) == registry.head()
    assert {finding.status for finding in audit(other)} == {"ok"}  # a ref of ours disturbs nobody
    fsck(other.path)


def test_over_a_folder(registry: Registry, other: Registry, hub: Path) -> None:
    share(registry, other, str(hub))
    assert to(registry, f"file://{hub}").fetch() == registry.head()
    environment = {"PATH": os.environ["PATH"], **NO_CONFIG}
    assert Remote(registry.path, environment, at_terminal=True).fetch() == registry.head()


def test_over_http(registry: Registry, other: Registry, hub: Path) -> None:
    with git_server(hub.parent) as url:
        share(registry, other, f"{url}/hub.git")


def test_a_login_comes_from_the_credential_helper_of_the_person(registry: Registry, hub: Path, tmp_path: Path) -> None:
    config = tmp_path / "gitconfig"
    config.write_text('[credential]\n\thelper = "!f() { echo username=ann; echo password=secret; }; f"\n')
    with git_server(hub.parent, login="ann:secret") as url:
        with pytest.raises(RegistryError, match=r"cannot push to 127\.0\.0\.1:\d+/hub\.git: it wants a login: set up"):
            to(registry, f"{url}/hub.git").push(registry.head())
        to(registry, f"{url}/hub.git", GIT_CONFIG_GLOBAL=str(config)).push(registry.head())
    assert git(hub, "rev-parse", "main") == registry.head()


def test_over_ssh_by_the_person_s_own_command(registry: Registry, other: Registry, hub: Path, tmp_path: Path) -> None:
    """The last two arguments are the host, which is this one, and the command to run there."""
    ssh = tmp_path / "my-ssh"
    ssh.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/calls\nfor last; do :; done\nexec sh -c "$last"\n')
    ssh.chmod(0o755)
    share(registry, other, f"ann@example.com:{hub}", GIT_SSH_COMMAND=str(ssh))
    to(registry, f"ssh://ann@example.com:2222{hub}", GIT_SSH_COMMAND=str(ssh), GIT_SSH_VARIANT="ssh").fetch()
    calls = (tmp_path / "calls").read_text()
    assert "ann@example.com git-upload-pack" in calls and "-p 2222 ann@example.com" in calls


def test_ssh_asks_nobody(registry: Registry, hub: Path, tmp_path: Path) -> None:
    folder = tmp_path / "bin"
    folder.mkdir()
    why = "Host key verification failed."
    (folder / "ssh").write_text(f'#!/bin/sh\necho "$@" > {tmp_path}/call\necho "{why}" >&2\nexit 255\n')
    (folder / "ssh").chmod(0o755)
    with pytest.raises(RegistryError, match=r"cannot fetch from example\.com:x\.git: Host key verification failed\.$"):
        to(registry, "example.com:x.git", PATH=f"{folder}:{os.environ['PATH']}").fetch()
    assert "-o BatchMode=yes" in (tmp_path / "call").read_text()


@pytest.fixture
def silent() -> Iterator[int]:
    """The port of a server that accepts, and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_a_silent_remote_is_given_up(registry: Registry, silent: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "SILENCE", 0.3)
    with pytest.raises(RegistryError, match=r"cannot fetch from 127\.0\.0\.1:\d+/x\.git: it has said nothing for 0 s"):
        to(registry, f"http://127.0.0.1:{silent}/x.git").fetch()


def test_a_fetch_is_stopped_with_all_that_it_started(registry: Registry, silent: int) -> None:
    there = to(registry, f"http://127.0.0.1:{silent}/x.git")
    threading.Timer(0.2, there.stop.set).start()
    with pytest.raises(RegistryError, match="stopped"):
        there.fetch()
    left = [p for p in psutil.process_iter(["cmdline"]) if f":{silent}/x.git" in str(p.info["cmdline"])]
    assert psutil.wait_procs(left, timeout=5)[1] == []


def test_a_fetch_that_brings_too_much(registry: Registry, hub: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its pack grows while it comes: a slow line, played by an upload-pack that sends a part and waits."""
    monkeypatch.setattr(remote, "MAX_BYTES", 1 << 16)
    blob = git(hub, "hash-object", "-w", "--stdin", stdin=os.urandom(1 << 20))
    tree = git(hub, "mktree", stdin=f"100644 blob {blob}\tbig\n")
    git(hub, "update-ref", "refs/heads/main", git(hub, "commit-tree", tree, "-m", "x"))
    there = to(registry, f"ann@example.com:{hub}", GIT_SSH_COMMAND=f"{sys.executable} {slow_ssh(hub.parent)}")
    with pytest.raises(RegistryError, match="it sends more than 0 MiB"):
        there.fetch()
    assert list((registry.path / "objects" / "pack").glob("tmp_pack_*")) == [] and there.fetched() is None


def slow_ssh(folder: Path) -> Path:
    program = folder / "slow_ssh.py"
    program.write_text(
        "import subprocess, sys, time, shutil\n"
        "p = subprocess.Popen(['sh', '-c', sys.argv[-1]], stdout=subprocess.PIPE)\n"
        "sent = 0\n"
        "while chunk := p.stdout.read1(8192):\n"
        "    sys.stdout.buffer.write(chunk); sys.stdout.buffer.flush()\n"
        "    sent += len(chunk)\n"
        "    if sent > 200_000: time.sleep(30)\n"
    )
    return program


def test_what_is_not_there(registry: Registry, tmp_path: Path) -> None:
    with pytest.raises(RegistryError, match=r"cannot fetch from none\.git: fatal: '.*none\.git' does not appear to be"):
        to(registry, str(tmp_path / "none.git")).fetch()
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(RegistryError, match=r"(Failed to|Couldn't) connect"):
        to(registry, f"http://127.0.0.1:{port}/x.git").fetch()


def test_what_a_hook_there_says(registry: Registry, hub: Path) -> None:
    hook = hub / "hooks" / "pre-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text('#!/bin/sh\nprintf "no \\033[31mentry: app:x\\n"\nexit 1\n')
    hook.chmod(0o755)
    with pytest.raises(RegistryError, match=r"^cannot push to hub\.git: remote: no \[31mentry: app:x$") as caught:
        to(registry, str(hub)).push(registry.head())
    assert not isinstance(caught.value, Behind)


def test_hooks_and_variables_of_ours_have_no_say(
    registry: Registry, hub: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("reference-transaction", "pre-push", "post-merge"):
        hook = registry.path / "hooks" / name
        hook.parent.mkdir(exist_ok=True)
        hook.write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\nexit 1\n")
        hook.chmod(0o755)
    for name in ("GIT_DIR", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY", "GIT_WORK_TREE", "GIT_NAMESPACE"):
        monkeypatch.setenv(name, "/nowhere")
    monkeypatch.setenv("GIT_TRACE", str(tmp_path / "trace"))
    there = Remote(registry.path, git_environment() | NO_CONFIG)
    there.set(str(hub))
    there.push(registry.head())
    assert there.fetch() == registry.head()
    assert not (tmp_path / "ran").exists() and not (tmp_path / "trace").exists()


def test_no_program_is_run_by_an_address(registry: Registry, hub: Path, tmp_path: Path) -> None:
    """Neither by ours nor by what a config makes of it."""
    config = tmp_path / "gitconfig"
    config.write_text(f'[url "ext::sh -c touch% {tmp_path}/ran "]\n\tinsteadOf = https://example.com/\n')
    with pytest.raises(RegistryError, match="transport 'ext' not allowed"):
        to(registry, "https://example.com/x", GIT_CONFIG_GLOBAL=str(config)).fetch()
    git(registry.path, "config", "remote.origin.url", "ext::sh -c true")
    with pytest.raises(RegistryError, match="would run a program"):
        Remote(registry.path, git_environment()).fetch()
    assert not (tmp_path / "ran").exists()


def test_two_processes_fetch_at_once(registry: Registry, hub: Path) -> None:
    there = to(registry, str(hub))
    there.push(registry.head())
    git(registry.path, "update-ref", "-d", FETCHED)
    with ThreadPoolExecutor() as pool:
        assert list(pool.map(lambda _: there.fetch(), range(3))) == [registry.head()] * 3


def test_a_lock_that_a_killed_git_left(registry: Registry, hub: Path) -> None:
    there = to(registry, str(hub))
    there.push(registry.head())
    lock = registry.path / f"{FETCHED}.lock"
    lock.touch()
    os.utime(lock, (time.time() - 60,) * 2)
    assert there.fetch() == registry.head()


def test_without_git(registry: Registry, hub: Path, tmp_path: Path) -> None:
    to(registry, str(hub))
    with pytest.raises(RegistryError, match="sharing a registry needs the program git: install it"):
        Remote(registry.path, {"PATH": str(tmp_path)}).fetch()


def test_set_and_remove(registry: Registry, hub: Path) -> None:
    there = to(registry, str(hub))
    assert address_of(registry.path) == there.address.text == str(hub)
    there.push(registry.head())
    there.set("https://example.com/x.git")
    assert there.fetched() is None  # what was fetched from another says nothing about this one
    there.remove()
    there.remove()
    assert address_of(registry.path) is None
    with pytest.raises(RegistryError, match="the registry has no remote"):
        there.fetch()
    for address in (str(registry.path), registry.path.as_uri()):
        with pytest.raises(RegistryError, match="its own remote"):
            there.set(address)


def test_no_login_that_git_repeats_is_shown() -> None:
    said = "fatal: unable to access 'https://ann:s3cr@t@host/x?token=T0KEN': no\n"
    line = str(remote._failed("fetch from", Address.parse("https://host/x"), said))
    assert line == "cannot fetch from host/x: fatal: unable to access 'https://host/x': no"


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("/srv/tools.git", "tools.git"),
        ("/srv/my tools.git", "my tools.git"),
        ("file:///srv/tools.git", "tools.git"),
        ("https://example.com/a/b.git", "example.com/a/b.git"),
        ("https://example.com:8443/b.git", "example.com:8443/b.git"),
        ("http://localhost/b.git", "localhost/b.git"),
        ("http://[::1]:80/b.git", "::1:80/b.git"),
        ("ssh://git@example.com:22/b.git", "example.com:22/b.git"),
        ("git@example.com:a/b.git", "example.com:a/b.git"),
        ("host:b", "host:b"),
        ("git@[::1]:b.git", "[::1]:b.git"),
    ],
)
def test_addresses(text: str, name: str) -> None:
    assert Address.parse(text).name == name


@pytest.mark.parametrize(
    "text",
    [
        *("", " ", "relative/path", "../up", "name", "C:", "-u", "--upload-pack=x", "ext::sh -c x", "::x", "a::b"),
        *("git://example.com/x", "ftp://example.com/x", "javascript://x", "ext://x", "http://example.com/x"),
        *("https://ann:secret@example.com/x", "https://secret@example.com/x", "ssh://ann:secret@example.com/x"),
        *("https://h/x?token=SECRET", "https://h/x#SECRET", "ssh://git@h/x?a=b"),
        *("http://localhost.example.com/x", "http://127.0.0.1.example.com/", "https://", "https:///x", "ssh://-oX/x"),
        *("ssh://-x@host/x", "-oProxyCommand=x:y", "a@-h:x", "a@h:-x", "ann:secret@host:x", "https://[::1/x"),
        *("https://h:99999999/x", "/a\nb", "/a\x1b[31m", "https://h/\u202e", "file://host/x", "x" * 1001, "a:b:c"),
    ],
)
def test_what_is_no_address(text: str) -> None:
    with pytest.raises(RegistryError) as caught:
        Address.parse(text)
    assert "secret" not in str(caught.value) and "\n" not in str(caught.value)
