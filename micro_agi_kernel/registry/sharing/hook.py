"""The pre-receive hook of a registry: Git runs it for every push, and it asks this package.

What a person pushes from a clone is written by Git itself; the hook is the only place where it can be refused.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import tempfile
from pathlib import Path

_MARK = "# Micro AGI checks every push here"
_SCRIPT = """\
#!/bin/sh
{mark}, and writes this file anew. Hooks of your own belong into `update` or `post-receive`.
python={python}
set -- registry check-push --repository "$PWD" --objects "$GIT_QUARANTINE_PATH"
if "$python" -P -c 'import micro_agi_kernel' 2>/dev/null; then
  exec "$python" -P -m micro_agi_kernel.frontends.cli "$@"
fi
if command -v micro-agi >/dev/null; then exec micro-agi "$@"; fi
echo 'refused: Micro AGI, which checks every push, is gone from here; install it, or remove hooks/pre-receive' >&2
exit 1
"""


def refresh_hook(repository: Path, python: str) -> None:
    """Write the hook, which runs the interpreter `python`, unless it is there and the interpreter that it names too.

    A hook that somebody else wrote is left alone (see `foreign_hook`), and so is a repository that cannot be written.
    """
    file = _file(repository)
    with contextlib.suppress(OSError):
        found = _read(file)
        if found is None or (found.startswith(f"#!/bin/sh\n{_MARK}") and not _is_good(file, found, python)):
            file.parent.mkdir(exist_ok=True)
            fd, made = tempfile.mkstemp(prefix=".pre-receive.", dir=file.parent)
            try:
                with open(fd, "w", encoding="utf-8", errors="surrogateescape") as out:
                    out.write(_script(python))
                os.chmod(made, 0o755)
                os.replace(made, file)
            except BaseException:
                os.unlink(made)
                raise


def foreign_hook(repository: Path) -> bool:
    """Whether a hook stands there that somebody else wrote, so that nothing checks what is pushed."""
    found = _read(_file(repository))
    return found is not None and not found.startswith(f"#!/bin/sh\n{_MARK}")


def _is_good(file: Path, found: str, python: str) -> bool:
    """Whether our hook can stay: of this version, and with an interpreter that is still there."""
    if not os.access(file, os.X_OK):
        return False  # Git would pass over it
    line = next((line for line in found.splitlines() if line.startswith("python=")), "")
    try:
        named = "".join(shlex.split(line.removeprefix("python=")))
    except ValueError:
        return False
    return found == _script(python) or (found == _script(named) and os.access(named, os.X_OK))


def _script(python: str) -> str:
    return _SCRIPT.format(mark=_MARK, python=shlex.quote(python))


def _file(repository: Path) -> Path:
    return repository / "hooks" / "pre-receive"


def _read(file: Path) -> str | None:
    """The hook that stands there, readable or not; None when there is none."""
    try:
        with open(file, encoding="utf-8", errors="surrogateescape", newline="") as opened:
            return opened.read(1 << 16)
    except FileNotFoundError:
        return None
    except OSError:
        return ""
