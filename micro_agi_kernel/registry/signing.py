"""SSH signatures of commits: made and checked as Git makes and checks them, by the program ssh-keygen.

A signature proves which key wrote a commit; whether that key is trusted is for whoever knows the keys.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
import shutil
import subprocess
import tempfile
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from micro_agi_kernel.errors import RegistryError, SettingsError
from micro_agi_kernel.registry.message import clean

if TYPE_CHECKING:
    from micro_agi_kernel.registry.store import Registry

SECONDS = 10.0
"""What one run of ssh-keygen may take; it takes 6 ms. Others wait 60 s for the lock under which a signer works."""

_SIGNATURE = re.compile(rb"-----BEGIN SSH SIGNATURE-----\n[A-Za-z0-9+/=\n]{1,16384}\n-----END SSH SIGNATURE-----\n?")
_GOOD = re.compile(r'Good "git" signature with \S+ key (SHA256:[A-Za-z0-9+/]{43})')


class Unchecked(RegistryError):
    """The program that checks signatures does not run: nothing is known of this one."""


class Signer:
    """Signs with one key, never asking anybody anything: a key that wants a passphrase belongs in the ssh-agent."""

    def __init__(self, key: Path, agent: str | None = None) -> None:
        """`key` is a private key, or a public one whose private half `agent`, the socket of an ssh-agent, has."""
        self._key = key
        self._agent = agent

    def __call__(self, content: bytes) -> bytes:
        """The armoured signature of a commit's content. Raises SettingsError when there is none to be had."""
        environment = {"SSH_AUTH_SOCK": self._agent} if self._agent else {}
        try:
            done = _keygen(["sign", "-n", "git", "-f", str(self._key)], content, environment)
        except RegistryError as error:
            raise self._refused(str(error)) from error
        if done.returncode or not _SIGNATURE.fullmatch(done.stdout):
            said = done.stderr.decode(errors="replace").strip().splitlines()
            raise self._refused(clean(said[-1]) if said else f"ssh-keygen ended with {done.returncode}")
        return done.stdout.rstrip(b"\n")

    def fingerprint(self) -> str:
        """`SHA256:...` of the key. Raises SettingsError when it cannot be used, or RegistryError."""
        return _key_of(b"", self(b""))

    def _refused(self, why: str) -> SettingsError:
        return SettingsError(
            f"nothing was written, since it cannot be signed with {self._key} ({why}): "
            "set signing.key to a key without a passphrase or one in your ssh-agent, or to nothing"
        )


def signature_of(registry: Registry, commit: str) -> str | None:
    """The fingerprint (`SHA256:...`) of the key that signed a commit; None when it has no signature.

    Raises RegistryError for a signature that is not one of this content, or of another kind than SSH, and of these
    Unchecked when nobody can tell.
    """
    content, signature = _split(registry.objects.stored(commit).raw)
    if signature is None:
        return None
    return _key_of(content, signature)


def _key_of(content: bytes, signature: bytes) -> str:
    """The fingerprint of the key that signed `content`. Raises RegistryError."""
    if not _SIGNATURE.fullmatch(signature):
        raise RegistryError("its signature is not an SSH signature")
    with tempfile.TemporaryDirectory(prefix="micro-agi-") as folder:
        file = Path(folder) / "signature"
        file.write_bytes(signature)
        # Only the signature is asked about, not whose it is: the fingerprint is compared here.
        done = _keygen(["check-novalidate", "-n", "git", "-s", str(file)], content, {})
    good = _GOOD.match(done.stdout.decode(errors="replace"))
    if done.returncode or good is None:
        raise RegistryError("its signature does not belong to it")
    return good[1]


def signer_of(registry: Registry, commit: str, allowed: Collection[str]) -> str | None:
    """The fingerprint of the key that signed a commit, if it is one of `allowed`; None for all that is no proof.

    `allowed` are public keys as in an `.pub` file (`ssh-ed25519 AAAA... comment`), or fingerprints (`SHA256:...`).
    """
    known = {fingerprint(key) for key in allowed} - {None}
    try:
        found = signature_of(registry, commit) if known else None
    except RegistryError:
        return None
    return found if found in known else None


def fingerprint(key: str) -> str | None:
    """`SHA256:...` of a public key as in an `.pub` file; a fingerprint is its own, and anything else is None."""
    if re.fullmatch(r"SHA256:[A-Za-z0-9+/]{43}", key.strip()):
        return key.strip()
    parts = key.split()
    try:
        raw = base64.b64decode(parts[1], validate=True)
    except (IndexError, binascii.Error):
        return None
    # The blob says its own type first: four bytes of length, then the name that stands before it in the file.
    if raw[4 : 4 + int.from_bytes(raw[:4])] != parts[0].encode():
        return None
    return "SHA256:" + base64.b64encode(hashlib.sha256(raw).digest()).decode().rstrip("=")


def _split(raw: bytes) -> tuple[bytes, bytes | None]:
    """A commit's content without its signature, which is what was signed; and the signature."""
    head, gap, message = raw.partition(b"\n\n")
    kept: list[bytes] = []
    signature: list[bytes] = []
    current = kept
    for line in head.split(b"\n"):
        if not line.startswith(b" "):
            current = signature if line.startswith((b"gpgsig ", b"gpgsig-sha256 ")) else kept
        current.append(line if current is kept else line.removeprefix(b"gpgsig").removeprefix(b" "))
    return b"\n".join(kept) + gap + message, b"\n".join(signature) if signature else None


def _keygen(arguments: list[str], content: bytes, environment: Mapping[str, str]) -> subprocess.CompletedProcess[bytes]:
    """Run `ssh-keygen -Y`. Raises Unchecked when it is not there or does not come to an end."""
    program = shutil.which("ssh-keygen")
    if program is None:
        raise Unchecked("ssh-keygen is not on PATH: install OpenSSH")
    try:
        # Without a terminal and without DISPLAY, there is nobody whom it could ask for a passphrase.
        return subprocess.run(
            [program, "-Y", *arguments],
            input=content,
            capture_output=True,
            env={"LC_ALL": "C", **environment},
            timeout=SECONDS,
            start_new_session=True,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise Unchecked(f"ssh-keygen does not come to an end within {SECONDS:.0f} s") from error
    except OSError as error:
        raise Unchecked(f"ssh-keygen cannot be started: {error.strerror}") from error
