"""SSH signatures on the agent's commits: Git itself finds them good, and none is left out silently."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from registry_kit import create, fsck, git, tool, update, write

from micro_agi_kernel.errors import SettingsError
from micro_agi_kernel.registry import Registry, signing
from micro_agi_kernel.registry.signing import Signer, Unchecked, fingerprint, signature_of, signer_of

pytestmark = pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="ssh-keygen is not on PATH")


def keygen(*arguments: object) -> str:
    return subprocess.run(["ssh-keygen", *map(str, arguments)], check=True, capture_output=True, text=True).stdout


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the keys `mine` and `other`, and `locked`, which has a passphrase."""
    folder = tmp_path_factory.mktemp("keys")
    for name, phrase in (("mine", ""), ("other", ""), ("locked", "secret")):
        keygen("-q", "-t", "ed25519", "-N", phrase, "-C", f"{name}@example.com", "-f", folder / name)
    return folder


@pytest.fixture
def signed(registry: Registry, keys: Path) -> Registry:
    registry.signer = Signer(keys / "mine")
    return registry


def public(keys: Path, name: str) -> str:
    return (keys / f"{name}.pub").read_text()


def test_git_verifies_what_the_agent_signed(signed: Registry, keys: Path, tmp_path: Path) -> None:
    commit = write(signed, create(tool("x"))).commit
    allowed = tmp_path / "allowed"
    allowed.write_text(f"ann@example.com {public(keys, 'mine')}")
    told = ("-c", f"gpg.ssh.allowedSignersFile={allowed}", "-c", "gpg.format=ssh")
    git(signed.path, *told, "verify-commit", commit)
    assert git(signed.path, *told, "log", "-1", "--format=%G? %GS %GF") == (
        f"G ann@example.com {fingerprint(public(keys, 'mine'))}"
    )
    assert "-----BEGIN SSH SIGNATURE-----" in git(signed.path, "cat-file", "commit", commit)
    fsck(signed.path)
    assert signed.version(commit).subject == "Create app.generated:x"


def test_only_the_agent_signs(signed: Registry) -> None:
    mine = write(signed, create(tool("x")), actor="user:ann")
    assert signature_of(signed, mine.commit) is None
    assert signature_of(signed, write(signed, update(tool("x", "return 2"))).commit) is not None


def test_who_signed(signed: Registry, keys: Path) -> None:
    commit = write(signed, create(tool("x"))).commit
    mine, other = public(keys, "mine"), public(keys, "other")
    assert keygen("-lf", keys / "mine").split()[1] == fingerprint(mine)
    assert signature_of(signed, commit) == signer_of(signed, commit, [other, mine]) == fingerprint(mine)
    assert signer_of(signed, commit, [str(fingerprint(mine))]) == fingerprint(mine)
    for allowed in ([], [other], ["nonsense", "ssh-ed25519 AAAA", mine.replace("ssh-ed25519", "ssh-rsa")]):
        assert signer_of(signed, commit, allowed) is None
    unsigned = write(signed, update(tool("x", "return 2")), actor="user:ann").commit
    assert signer_of(signed, unsigned, [mine]) is None


FORGED = {
    "another tree": lambda raw: raw.replace(raw[5:45], b"4b825dc642cb6eb9a060e54bf8d69288fbee4904"),
    "another message": lambda raw: raw.replace(b"Actor: service:agent", b"Actor: user:ann"),
    "another header": lambda raw: raw.replace(b"\ngpgsig", b"\nencoding x\ngpgsig"),
    "signed twice": lambda raw: raw.replace(
        b"\n\n", b"\n" + raw[raw.index(b"gpgsig") : raw.index(b"\n\n")] + b"\n\n", 1
    ),
    "of another kind": lambda raw: raw.replace(b"SSH SIGNATURE", b"PGP SIGNATURE"),
    "cut": lambda raw: raw.replace(
        b"gpgsig -----BEGIN SSH SIGNATURE-----\n ", b"gpgsig -----BEGIN SSH SIGNATURE-----\n A"
    ),
    "for another use": None,
}


@pytest.mark.parametrize("case", FORGED)
def test_a_signature_that_is_not_one_of_this_commit(signed: Registry, keys: Path, case: str) -> None:
    if case == "for another use":
        signed.signer = lambda content: subprocess.run(
            ["ssh-keygen", "-Y", "sign", "-n", "file", "-f", str(keys / "mine")], input=content, capture_output=True
        ).stdout.rstrip()  # fmt: skip
    commit = write(signed, create(tool("x"))).commit
    if change := FORGED[case]:
        raw = subprocess.check_output(["git", "cat-file", "commit", commit], cwd=signed.path)
        assert change(raw) != raw
        commit = git(signed.path, "hash-object", "-t", "commit", "-w", "--literally", "--stdin", stdin=change(raw))
    with pytest.raises(signing.RegistryError, match="signature") as error:
        signature_of(signed, commit)
    assert not isinstance(error.value, Unchecked)
    assert signer_of(signed, commit, [public(keys, "mine")]) is None


def test_a_key_with_a_passphrase_or_none_writes_nothing(signed: Registry, keys: Path, tmp_path: Path) -> None:
    head = signed.head()
    for key in (keys / "locked", tmp_path / "gone", tmp_path):
        signed.signer = Signer(key)
        with pytest.raises(SettingsError, match=r"nothing was written.*set signing\.key to") as error:
            write(signed, create(tool("x")))
        assert "\n" not in str(error.value) and str(key) in str(error.value)
    assert signed.head() == head
    write(signed, create(tool("x")), actor="user:ann")


def test_without_the_program_nothing_is_written(signed: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(SettingsError, match="ssh-keygen is not on PATH"):
        write(signed, create(tool("x")))


def test_without_the_program_nothing_is_said_of_a_signature(
    signed: Registry, keys: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = write(signed, create(tool("x"))).commit
    unsigned = write(signed, create(tool("y")), actor="user:ann").commit
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(Unchecked, match="ssh-keygen is not on PATH"):
        signature_of(signed, mine)
    assert signature_of(signed, unsigned) is None
    assert signer_of(signed, mine, [public(keys, "mine")]) is None


def test_a_program_that_hangs_is_left(signed: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "ssh-keygen"
    program.write_text("#!/bin/sh\nexec sleep 60\n")
    program.chmod(0o755)
    monkeypatch.setattr(shutil, "which", lambda name: os.fspath(program))
    monkeypatch.setattr(signing, "SECONDS", 0.1)
    with pytest.raises(SettingsError, match="does not come to an end"):
        write(signed, create(tool("x")))


@pytest.fixture
def agent(keys: Path, tmp_path: Path) -> Iterator[str]:
    """The socket of an ssh-agent that holds `locked`."""
    if shutil.which("ssh-agent") is None:
        pytest.skip("ssh-agent is not on PATH")
    socket = tmp_path / "agent"
    process = subprocess.Popen(["ssh-agent", "-D", "-a", os.fspath(socket)], stdout=subprocess.DEVNULL)
    try:
        while not socket.exists():
            assert process.poll() is None
        ask = tmp_path / "ask"
        ask.write_text("#!/bin/sh\necho secret\n")
        ask.chmod(0o755)
        environment = {
            "SSH_AUTH_SOCK": os.fspath(socket),
            "SSH_ASKPASS": os.fspath(ask),
            "SSH_ASKPASS_REQUIRE": "force",
        }
        subprocess.run(
            ["ssh-add", os.fspath(keys / "locked")], env={**os.environ, **environment}, check=True, capture_output=True
        )
        yield os.fspath(socket)
    finally:
        process.terminate()
        process.wait()


def test_a_key_in_the_agent(signed: Registry, keys: Path, tmp_path: Path, agent: str) -> None:
    half = shutil.copy(keys / "locked.pub", tmp_path / "half.pub")
    signed.signer = Signer(Path(half), agent)
    commit = write(signed, create(tool("x"))).commit
    assert signer_of(signed, commit, [public(keys, "locked")])
