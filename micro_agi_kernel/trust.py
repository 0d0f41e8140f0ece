"""What the person trusts: kept in `trust.toml` in the data folder, where no registry can reach it.

Three things need it, since each arrives with somebody else's data: the registry of a project (`.micro-agi/registry.git`
above the working folder), a model entry that sends a key to a server of its own, and the key of a person whose
signed commits sync takes without asking. `micro-agi registry trust` writes the file; it may be edited by hand too.
"""

from __future__ import annotations

import json
import os
import shlex
import stat
import time
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import MISSING, dataclass, fields, replace
from pathlib import Path
from typing import Any, TextIO, TypeVar

from micro_agi_kernel.errors import RegistryError, SettingsError
from micro_agi_kernel.models.catalog import ModelSpec, Provider
from micro_agi_kernel.models.endpoint import NO_KEY, OPENAI_KEY
from micro_agi_kernel.registry import Registry
from micro_agi_kernel.settings import PROJECT_REGISTRY, Settings
from micro_agi_kernel.values import shorten

FILE = "trust.toml"
_HEAD = "# What you trusted by `micro-agi registry trust`. No registry can read or change this file.\n"

WAIT_SECONDS = 5.0
"""How long another process may be at the file, which takes milliseconds; after that it died there."""

STEPS = 64
"""Commits of a project's registry that each start may read anew, a few milliseconds; more are remembered."""


@dataclass(frozen=True, slots=True)
class TrustedRegistry:
    """A project's registry."""

    path: str
    """Absolute, without symbolic links."""
    first_commit: str
    """The one with which the branch main began: tells another registry that was put there later."""
    checked: str = ""
    """A commit of main that was found to go back to the first one, so that a start reads what came later only."""


@dataclass(frozen=True, slots=True)
class TrustedModel:
    """A key that may go to the server which an entry names; with another server or key it is asked again."""

    registry: str
    """Absolute path of the registry that holds the entry."""
    id: str
    url: str
    key: str
    """The environment variable that holds the key."""


@dataclass(frozen=True, slots=True)
class TrustedKey:
    """An SSH key whose signed commits sync takes."""

    fingerprint: str
    line: str
    """The public key as in its `.pub` file."""


Trusted = TrustedRegistry | TrustedModel | TrustedKey
_T = TypeVar("_T", TrustedRegistry, TrustedModel, TrustedKey)
_TABLES: Mapping[str, type[Trusted]] = {"registry": TrustedRegistry, "model": TrustedModel, "key": TrustedKey}


@dataclass(frozen=True, slots=True)
class Trust:
    """All that the file says."""

    items: tuple[Trusted, ...] = ()

    def of(self, kind: type[_T]) -> tuple[_T, ...]:
        return tuple(item for item in self.items if isinstance(item, kind))

    def with_items(self, added: Collection[Trusted]) -> Trust:
        """This and what is new; a registry takes the place of another one that lay at its path."""
        places = {item.path for item in added if isinstance(item, TrustedRegistry)}
        gone = {item for item in self.of(TrustedRegistry) if item.path in places} - {*added}
        return Trust(tuple(item for item in dict.fromkeys((*self.items, *added)) if item not in gone))


def read_trust(home: Path) -> Trust:
    """What `trust.toml` in the data folder says; nothing when there is no such file.

    Raises SettingsError with one line for a file that cannot be read in full, or that others could have written.
    """
    import tomllib

    file = home / FILE
    try:
        with file.open("rb") as opened:
            state = os.fstat(opened.fileno())
            if os.name == "posix" and (state.st_mode & 0o022 or state.st_uid != os.geteuid()):
                raise SettingsError(f"others can write {file}: check what it says, then run `chmod 600 {file}`")
            document = tomllib.loads(opened.read(1 << 20).decode())
    except FileNotFoundError:
        return Trust()
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as error:
        raise SettingsError(f"cannot read {file}: {error}; mend it, or remove it to trust nothing") from error
    return Trust(tuple(_items(document, file)))


def change_trust(home: Path, change: Callable[[Trust], Trust]) -> Trust:
    """Replace what the file says by what `change` makes of it, whole or not at all. Raises SettingsError."""
    file, made = home / FILE, home / f"{FILE}.lock"
    try:
        home.mkdir(parents=True, exist_ok=True)
        with _new_file(made) as out:
            try:
                trust = change(read_trust(home))
                out.write(_HEAD + "".join(map(_table, trust.items)))
                out.flush()
                os.fsync(out.fileno())
            except BaseException:
                made.unlink()
                raise
        os.replace(made, file)
    except (OSError, UnicodeEncodeError) as error:
        raise SettingsError(f"cannot write {file}: {getattr(error, 'strerror', None) or error}") from error
    return trust


def _new_file(path: Path) -> TextIO:
    """The file that will replace another one: while it is there, nobody else can make it, so it is the lock too."""
    end = time.monotonic() + WAIT_SECONDS
    while True:
        try:
            return open(path, "x", encoding="utf-8", opener=lambda name, flags: os.open(name, flags, 0o600))
        except FileExistsError as error:
            if time.monotonic() > end:
                raise SettingsError(f"another process keeps {path}: if none is running, remove that file") from error
            time.sleep(0.01)


def _items(document: Mapping[str, Any], file: Path) -> Iterator[Trusted]:
    for table, rows in document.items():
        if table not in _TABLES or not isinstance(rows, list):
            raise SettingsError(f"{file}: unknown key {shorten(table)!r}; there are: [[{']], [['.join(_TABLES)}]]")
        names = {field.name: field.default is MISSING for field in fields(_TABLES[table])}
        needed = {name for name, is_needed in names.items() if is_needed}
        for row in rows:
            if not isinstance(row, dict) or not needed <= row.keys() <= names.keys():
                raise SettingsError(f"{file}: [[{table}]] has exactly the keys {', '.join(names)}")
            if not all(isinstance(value, str) for value in row.values()):
                raise SettingsError(f"{file}: every value of [[{table}]] is a text")
            yield _TABLES[table](**row)


def _table(item: Trusted) -> str:
    name = next(name for name, kind in _TABLES.items() if isinstance(item, kind))
    # A string of JSON is one of TOML, but for DEL.
    lines = (
        f"{field.name} = " + json.dumps(getattr(item, field.name), ensure_ascii=False).replace("\x7f", "\\u007f")
        for field in fields(item)
    )
    return f"\n[[{name}]]\n" + "\n".join(lines) + "\n"


# A key for a server that an entry names


def with_trust(specs: Iterable[ModelSpec], registry: Path, home: Path) -> tuple[ModelSpec, ...]:
    """`specs`, read from the entries of `registry`, with each server of theirs marked to which a key may go.

    The file is read only where it could say something. Raises SettingsError when it cannot be.
    """
    specs = tuple(specs)
    if not any(pairs(spec, registry) for spec in specs):
        return specs
    known = read_trust(home).of(TrustedModel)
    return tuple(_marked(spec, known, registry) for spec in specs)


def pairs(spec: ModelSpec, registry: Path) -> tuple[TrustedModel, ...]:
    """What of `spec` needs trust: each server of its own to which it sends a key."""
    found = (_pair(spec, provider, registry) for provider in spec.providers)
    return tuple(pair for pair in found if pair is not None)


def _marked(spec: ModelSpec, known: Collection[TrustedModel], registry: Path) -> ModelSpec:
    providers = (replace(p, trusted=_pair(spec, p, registry) in known) for p in spec.providers)
    return replace(spec, providers=tuple(providers))


def _pair(spec: ModelSpec, provider: Provider, registry: Path) -> TrustedModel | None:
    if provider.base_url is None or provider.api_key_env == NO_KEY:
        return None
    key = provider.api_key_env or OPENAI_KEY
    return TrustedModel(os.path.realpath(registry), str(spec.id), provider.base_url, key)


# A project's registry


def choose_registry(settings: Settings) -> tuple[Path, str]:
    """Where the registry lies, and the line for the person where a project's own is not used.

    What a person names needs no trust; a project's registry does, which lies there whether they know it or not:
    its entries speak to the model, its policies decide, and Git obeys its configuration.
    """
    if settings.registry or settings.project == Path():
        return settings.registry_path, ""
    project = settings.project
    why = unusable(project)
    if not why:
        known = [item for item in read_trust(settings.home).of(TrustedRegistry) if item.path == str(project)]
        named = shlex.quote(str(project)) if str(project).isprintable() else "PATH"
        try:
            if any(_is_it(item, settings.home) for item in known):
                return project, ""
            why = "another one than you trusted lies there" if known else "you have not trusted it"
            why += f": `micro-agi registry trust {named}`"
        except RegistryError as error:
            why = f"whether it is the one that you trusted cannot be seen: {error}, and name {named} by --registry"
    shown = str(project) if str(project).isprintable() else repr(str(project))
    return settings.registry_path, f"using the default registry, not this project's {shown}: {why}"


def project_place(path: Path) -> Path:
    """The registry that a path means: that of the project which lies there, or itself; absolute.

    The working folder belongs to the project at or above it.
    """
    path = path.absolute()
    folders = (path, *path.parents) if path == Path.cwd() else (path,)
    place = next((folder / PROJECT_REGISTRY for folder in folders if os.path.lexists(folder / PROJECT_REGISTRY)), path)
    # The last two names may be no links, which `unusable` says; those above may.
    return Path(os.path.realpath(place.parent.parent), place.parent.name, place.name)


def project_registry(place: Path) -> TrustedRegistry:
    """What is to be remembered of the registry at `place`. Raises RegistryError where no trust would help."""
    if place.parts[-2:] != PROJECT_REGISTRY.parts:
        rule = f"only a project's registry, {PROJECT_REGISTRY}, needs trust"
        if not os.path.lexists(place):
            raise RegistryError(f"there is nothing at {place}; {rule}")
        raise RegistryError(f"{rule}: name {place} by --registry")
    if why := unusable(place):
        raise RegistryError(f"{place} cannot be trusted: {why}")
    with Registry.open(place) as opened:
        head = opened.head()
        first = deque(opened.history.line(head), maxlen=1)
        return TrustedRegistry(str(place), first[0].id, head)


def unusable(project: Path) -> str:
    """Why no trust opens the registry of a project; "" when trust is all that it takes."""
    try:
        for place in (project.parent, project):
            state = place.lstat()
            if stat.S_ISLNK(state.st_mode):
                return f"{place.name} is a symbolic link"
            if os.name == "posix" and state.st_uid != os.geteuid():
                return f"{place.name} belongs to another user"
        if not ((project / "HEAD").is_file() and (project / "objects").is_dir()):
            return "it is no Git repository"
    except OSError as error:
        return f"it cannot be read ({error.strerror})"
    return ""


def _is_it(item: TrustedRegistry, home: Path) -> bool:
    """Whether what lies there is the registry that was trusted: main goes back, by first parents, to its first commit.

    That the commit lies there says nothing: whoever puts another registry there can put it beside. No file in the
    repository is asked about it either, but the commits themselves. Raises RegistryError when one cannot be read.
    """
    from micro_agi_kernel.registry.objects import Objects

    objects = Objects(Path(item.path))
    try:
        head = commit = objects.head() or ""
        steps = 0
        while commit and commit not in (item.first_commit, item.checked):
            commit = next(iter(objects.commit(commit).parents), "")
            steps += 1
    finally:
        objects.close()
    if commit and steps > STEPS:
        now = replace(item, checked=head)
        with suppress(SettingsError):  # where it cannot be written, the next start reads as much
            change_trust(home, lambda trust: Trust(tuple(now if each == item else each for each in trust.items)))
    return bool(commit)
