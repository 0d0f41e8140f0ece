"""The remote: another repository with which a registry is shared, fetched from and pushed to by the program git.

Its address is the remote `origin` in the registry's own config. git runs with the person's environment, since
their credential helpers and their ssh-agent are what opens the remote; what the remote says is not trusted:
its objects are checked, its lines cleaned, its size and its silence bounded, and nobody is asked anything
unless a person sits at the terminal.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from urllib.parse import unquote, urlsplit

from micro_agi_kernel.errors import Conflict, RegistryError
from micro_agi_kernel.registry.git_program import ask_git
from micro_agi_kernel.registry.lock import STALE_SECONDS
from micro_agi_kernel.registry.message import clean
from micro_agi_kernel.registry.sharing.address import Address, address_of
from micro_agi_kernel.registry.sharing.sizes import check_sizes

FETCHED = "refs/micro-agi/remote/main"
"""What the remote's branch was when it was last fetched."""
SHOWN = "refs/micro-agi/remote/shown"
"""What of it the person was last shown: what they decide about, whatever was fetched since."""

SILENCE = 60.0
"""Seconds without a word from the remote after which a fetch is given up; git reports its progress all the time."""
PUSH_SILENCE = 600.0
"""The same for a push, where the remote's own checks may take their time."""
LONGEST = 3600.0
"""Seconds after which anything is given up."""
MAX_BYTES = 512 << 20
"""Size of what one fetch may bring: some ten times a registry of 100,000 entries."""

TRIES = 3
"""How often a fetch is begun again because another process fetched at the same time."""

_KEPT_OUTPUT = 1 << 16
_CONFIG = (
    # Objects are checked as they come; always one pack, whose growth can be watched; nothing else is started.
    *("fetch.fsckObjects=true", "fetch.unpackLimit=1", "fetch.prune=false"),
    *("fetch.writeCommitGraph=false", "core.hooksPath=" + os.devnull, "gc.auto=0", "maintenance.auto=false"),
    *("push.followTags=false", "push.recurseSubmodules=no", "fetch.recurseSubmodules=no"),
)
_PROGRESS = re.compile(
    r"(remote: )?(Enumerating|Counting|Delta|Compressing|Receiving|Resolving|Writing|Unpacking|Total)\b"
)
_SAYS_LITTLE = re.compile(
    r"fatal: Could not read from remote|Please make sure you have|and the repository exists|error: failed to push"
    r"|fatal: the remote end hung up|From |To |Done|hint:|fatal: (fetch-pack|index-pack|unpack-objects)| [!*] |!\t"
)
_SECRET = re.compile(r"(?<=//)[^/\s]*@|\?[^\s'\"]*")
"""What of an address may be a login: a name before the host, and what is asked after the path."""
_LOGIN = re.compile(r"could not read (Username|Password)|Authentication failed|terminal prompts disabled")
_BEHIND = re.compile(
    r"\[rejected\]|cannot lock ref|failed to (lock|update ref)|incorrect old value|stale info|reference already exists"
)


class Behind(Conflict):
    """The remote holds commits that this registry has not."""


class Remote:
    """The remote of one registry. Every method blocks; `stop`, once set, ends what runs."""

    def __init__(self, repository: Path, environment: Mapping[str, str], *, at_terminal: bool = False) -> None:
        """`environment` is the person's, without what git's own commands set; `at_terminal`: they can be asked."""
        self._repository = repository.absolute()
        self._at_terminal = at_terminal
        self._environment = dict(environment)
        self.stop = threading.Event()

    @property
    def address(self) -> Address:
        """Raises RegistryError when there is none, or one that we do not use."""
        text = address_of(self._repository)
        if text is None:
            raise RegistryError("the registry has no remote: `micro-agi registry remote URL` sets it")
        return Address.parse(text)

    def set(self, text: str) -> Address:
        """Make `text` the address. Raises RegistryError."""
        address = Address.parse(text)
        path = unquote(urlsplit(text).path) if text.startswith("file:") else text
        if Path(path).is_absolute() and Path(path).resolve() == self._repository.resolve():
            raise RegistryError("a registry cannot be its own remote")
        self.remove()
        ask_git(self._repository, "config", "--local", "remote.origin.url", address.text)
        return address

    def remove(self) -> None:
        """Forget the address, and what was fetched from it; harmless when there is none."""
        if address_of(self._repository) is not None:
            ask_git(self._repository, "config", "--local", "--remove-section", "remote.origin")
        for ref in (FETCHED, SHOWN):
            ask_git(self._repository, "update-ref", "-d", ref)

    def fetched(self, ref: str = FETCHED) -> str | None:
        """The commit that `ref` (FETCHED or SHOWN) names; None before the first fetch."""
        return ask_git(self._repository, "for-each-ref", "--format=%(objectname)", ref).strip() or None

    def mark_shown(self, commit: str) -> None:
        """Remember that the person has seen what `commit` would bring."""
        ask_git(self._repository, "update-ref", SHOWN, commit)

    def fetch(self) -> str | None:
        """The remote's newest commit, with all that it needs; None for a remote that has none.

        Raises RegistryError with one line: no git, nobody there, no access, damaged or too much.
        """
        address = self.address
        command = ("fetch", "--no-tags", "--no-write-fetch-head", "--progress", address.text)
        for _ in range(TRIES):
            said = self._talk(address, SILENCE, *command, f"+refs/heads/main:{FETCHED}")
            if not said:
                fetched = self.fetched()
                if fetched is not None:
                    check_sizes(self._repository, fetched, "--branches")
                return fetched
            if "cannot lock ref" not in said:  # as when another process fetches too
                break
        if "couldn't find remote ref" in said:
            return None
        raise _failed("fetch from", address, said)

    def push(self, commit: str) -> None:
        """Make `commit` the remote's newest, which must follow from what it has. Raises Behind, RegistryError."""
        address = self.address
        command = ("push", "--porcelain", "--no-verify", "--progress", address.text)
        said = self._talk(address, PUSH_SILENCE, *command, f"{commit}:refs/heads/main")
        if not said:
            ask_git(self._repository, "update-ref", FETCHED, commit)
        elif _BEHIND.search(said):
            raise Behind(f"{address.name} has what this registry has not: run `micro-agi registry pull` first")
        else:
            raise _failed("push to", address, said)

    def _command(self) -> list[str]:
        program = shutil.which("git", path=self._environment.get("PATH"))
        if program is None:
            raise RegistryError("sharing a registry needs the program git: install it")
        return [program, f"--git-dir={self._repository}", *(word for s in _CONFIG for word in ("-c", s))]

    def _talk(self, address: Address, silence: float, *arguments: str) -> str:
        """Run a git command that talks to the remote: "" when it worked, else what it said."""
        self._sweep()
        packs = set(self._unfinished())
        try:
            process = subprocess.Popen(
                [*self._command(), *arguments],
                cwd=self._repository,
                env=self._talking(address),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                # A group of its own, all of which can be ended; without a terminal, so ssh cannot ask there.
                start_new_session=not self._at_terminal,
            )
        except OSError as error:
            raise RegistryError(f"git cannot be run on {self._repository}: {clean(str(error))}") from error
        said = _Listener(process)
        try:
            why = self._watch(process, said, LONGEST if self._at_terminal else silence, packs)
        except BaseException:
            self._end(process)
            raise
        if why:
            self._end(process)
            for pack in set(self._unfinished()) - packs:
                pack.unlink(missing_ok=True)
            raise RegistryError(
                f"cannot {arguments[0]} {'to' if arguments[0] == 'push' else 'from'} {address.name}: {why}"
            )
        return (said.text or "git does not say why") if process.wait() else ""

    def _talking(self, address: Address) -> dict[str, str]:
        """The environment of a git that talks to the remote."""
        environment = {
            **self._environment,
            "LC_ALL": "C",
            # Stronger than the protocol.* of any config, and it holds for what insteadOf makes of the address.
            "GIT_ALLOW_PROTOCOL": "file:ssh:https:http" if address.is_http else "file:ssh:https",
        }
        if self._at_terminal:
            return environment
        environment |= {"GIT_TERMINAL_PROMPT": "0", "GIT_ASKPASS": "", "SSH_ASKPASS_REQUIRE": "never"}
        chosen = any(environment.get(name) for name in ("GIT_SSH_COMMAND", "GIT_SSH"))
        if (
            not chosen
            and not ask_git(
                self._repository, "config", "--default=", "--get", "core.sshCommand", environment=environment
            ).strip()
        ):
            environment["GIT_SSH_COMMAND"] = "ssh -o BatchMode=yes"
        return environment

    def _watch(self, process: subprocess.Popen[bytes], said: _Listener, silence: float, packs: Collection[Path]) -> str:
        """Wait for the end of `process`; why it has to be ended before, or ""."""
        start = time.monotonic()
        while said.is_alive():
            said.join(0.1)
            if process.poll() is not None:
                said.join(1.0)  # an ssh that stays for the next connection keeps the pipe open
                break
            now = time.monotonic()
            if self.stop.is_set():
                return "stopped"
            if now - said.heard > silence:
                return f"it has said nothing for {silence:.0f} s"
            if now - start > LONGEST:
                return f"it takes longer than {LONGEST:.0f} s"
            if sum(_size(pack) for pack in set(self._unfinished()) - set(packs)) > MAX_BYTES:
                return f"it sends more than {MAX_BYTES >> 20} MiB"
        return ""

    def _end(self, process: subprocess.Popen[bytes]) -> None:
        """End git and all that it started, first so that it can remove its lock files.

        At a terminal git alone: it shares our process group, all of which the person's Ctrl-C reaches.
        """
        for number in (signal.SIGTERM, signal.SIGKILL):
            with suppress(ProcessLookupError):
                if self._at_terminal:
                    process.send_signal(number)
                else:
                    os.killpg(process.pid, number)
            with suppress(subprocess.TimeoutExpired):
                process.wait(2.0)

    def _unfinished(self) -> Iterator[Path]:
        """The packs that are being received."""
        return (self._repository / "objects" / "pack").glob("tmp_pack_*")

    def _sweep(self) -> None:
        """Remove the locks of our refs that a killed git left; it holds one for milliseconds."""
        for ref in (FETCHED, SHOWN):
            lock = self._repository / f"{ref}.lock"
            with suppress(FileNotFoundError):
                if time.time() - lock.stat().st_mtime > STALE_SECONDS:
                    lock.unlink()


class _Listener(threading.Thread):
    """Reads what a process says, keeps the end of it, and knows when it last said something."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        super().__init__(daemon=True, name="micro-agi git")
        self._process = process
        self._kept = b""
        self.heard = time.monotonic()
        self.start()

    @property
    def text(self) -> str:
        return self._kept.decode(errors="replace")

    def run(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as pipe:
            while chunk := os.read(pipe.fileno(), _KEPT_OUTPUT):
                self.heard = time.monotonic()
                self._kept = (self._kept + chunk)[-_KEPT_OUTPUT:]


def _size(file: Path) -> int:
    try:
        return file.stat().st_size
    except OSError:  # finished meanwhile
        return 0


def _failed(doing: str, address: Address, said: str) -> RegistryError:
    """The line for the person: what of git's words says most, without a login that they may repeat."""
    if _LOGIN.search(said):
        why = "it wants a login: set up a credential helper (`git help credentials`), or an ssh key"
    else:
        lines = [line for line in re.split(r"[\r\n]+", said) if line.strip() and not _PROGRESS.match(line)]
        telling = [line for line in lines if not _SAYS_LITTLE.match(line)] or lines
        why = _SECRET.sub("", clean("; ".join(telling[:3]), 400))
    return RegistryError(f"cannot {doing} {address.name}: {why}")
