"""The bare repository in which a registry lies: how one is made, and what one must be to be opened."""

from __future__ import annotations

import os
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path

from micro_agi_kernel.errors import RegistryError
from micro_agi_kernel.registry.layout import BRANCH
from micro_agi_kernel.registry.lock import FOLDER
from micro_agi_kernel.values import shorten

# hooksPath: whatever a person's own configuration names, pushes are checked by the hook that lies here.
CONFIG = """\
[core]
\trepositoryformatversion = 0
\tfilemode = true
\tbare = true
\thooksPath = hooks
[gc]
\tauto = 0
[receive]
\tdenyNonFastForwards = true
\tdenyDeletes = true
\tfsckObjects = true
"""


def check_repository(path: Path) -> None:
    """Raise RegistryError unless `path` is a bare repository that we can read and write as it is."""
    from dulwich.config import ConfigFile

    try:
        if not path.exists():
            raise RegistryError(f"no registry at {path}: run `micro-agi registry init`")
        if (path / ".git").exists():
            raise RegistryError(f"not a registry: {path} is a work tree, not a bare repository")
        if not ((path / "HEAD").is_file() and (path / "objects").is_dir() and (path / "refs").is_dir()):
            raise RegistryError(f"not a registry: {path} is not a Git repository")
        next((path / "objects").iterdir(), None)
        config = ConfigFile.from_path(os.fspath(path / "config"))
        bare = config.get_boolean(b"core", b"bare", default=False)
        version = config.get(b"core", b"repositoryformatversion") if config.has_section((b"core",)) else b"0"
        extensions = list(config.items(b"extensions")) if config.has_section((b"extensions",)) else []
    except OSError as error:
        raise RegistryError(f"cannot read the registry {path}: {error.strerror}") from error
    except (ValueError, KeyError) as error:
        raise RegistryError(f"cannot read the config of the registry {path}: {shorten(str(error))}") from error
    if not config.has_section((b"core",)) and (path / FOLDER).is_dir():
        raise RegistryError(f"damaged registry: the config of {path} is gone: run `micro-agi registry verify --repair`")
    if not bare:
        raise RegistryError(f"not a registry: {path} is not a bare repository")
    if version not in (b"0", b"1") or any(pair != (b"objectformat", b"sha1") for pair in extensions):
        raise RegistryError(f"not a registry: {path} uses extensions of Git that a registry cannot have")


def make_repository(path: Path) -> None:
    """Put an empty bare repository at `path`, whole or not at all; another process may do the same meanwhile.

    Raises OSError.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    made = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))  # mode 0700
    try:
        for folder in ("objects/info", "objects/pack", "refs/heads", "refs/tags"):
            (made / folder).mkdir(parents=True)
        for name, content in (("HEAD", f"ref: {BRANCH}\n"), ("config", CONFIG)):
            with (made / name).open("w") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
        made.rename(path)
    except OSError:
        shutil.rmtree(made, ignore_errors=True)
        with suppress(OSError):
            if any(path.iterdir()):
                return  # someone else was first; `open` looks at what they made
        raise
    except BaseException:
        shutil.rmtree(made, ignore_errors=True)
        raise
